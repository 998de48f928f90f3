// The page: its panels, one at a time, by the part of the address after '#'.

import { askForKeysWith, get, keepKey } from "./api.js";
import { classifyPanel } from "./classify.js";
import { h } from "./dom.js";
import { mapPanel } from "./map.js";
import { refusal } from "./notices.js";
import { searchPanel } from "./search.js";
import { serverPanel } from "./server.js";
import { teachPanel } from "./teach.js";

const PANELS = [
  { id: "classify", title: "Classify", make: classifyPanel },
  { id: "search", title: "Search", make: searchPanel },
  { id: "teach", title: "Teach", make: teachPanel },
  { id: "map", title: "Map", make: mapPanel },
  { id: "server", title: "Server", make: serverPanel },
];
const HEALTH_MILLISECONDS = 5000;
const HEALTH_PATIENCE_MILLISECONDS = 10000;

const made = new Map();
const place = document.getElementById("panel");

function shownPanel() {
  const id = location.hash.slice(1).split("/")[0];
  return PANELS.find((panel) => panel.id === id) ?? PANELS[0];
}

function show() {
  const panel = shownPanel();
  for (const link of document.querySelectorAll("#panels a")) {
    link.ariaCurrent = link.hash === `#${panel.id}` ? "page" : null;
  }
  if (!made.has(panel.id)) made.set(panel.id, panel.make());
  const element = made.get(panel.id);
  place.replaceChildren(element);
  element.dispatchEvent(new CustomEvent("shown"));
  document.title = `${panel.title} · Simila explorer`;
}

async function readHealth() {
  const health = document.getElementById("health");
  try {
    const models = (await get("/v1/models", { signal: AbortSignal.timeout(HEALTH_PATIENCE_MILLISECONDS), asks: false })).data;
    const ready = models.filter((model) => model.state === "ready").length;
    health.textContent = `${ready} of ${models.length} encoders ready`;
    health.dataset.state = ready === models.length ? "good" : "waiting";
  } catch (error) {
    health.textContent = error.status === 0 ? "server not reached" : error.status === 401 ? "no key" : "server in trouble";
    health.dataset.state = "bad";
  }
}

async function watchHealth() {
  await readHealth();
  setTimeout(watchHealth, HEALTH_MILLISECONDS);
}

/** One question for a key at a time; all who wait for it go on with the answer. */
let asking = null;

function askForKey(isWrong) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const input = h("input", { type: "password", id: "key-input", required: true, autocomplete: "off", spellcheck: false });
    const form = h("form", { method: "dialog" },
      h("h2", { id: "key-title" }, "An API key is needed"),
      h("p", {}, isWrong ? "The last one was unknown, revoked or expired." : "Whoever runs the server makes one with: simila keys create"),
      h("label", { htmlFor: "key-input" }, "Key"), input,
      h("p", { className: "advice" }, "It stays in this tab and is forgotten when you close it."),
      h("div", { className: "row" },
        h("button", { type: "submit", className: "main", value: "use" }, "Use it"),
        h("button", { type: "button", onclick: () => dialog.close("") }, "Not now")));
    dialog.replaceChildren(form);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const used = dialog.returnValue === "use" && input.value.trim();
      if (used) {
        keepKey(input.value.trim());
        readHealth();
      }
      declined = !used;
      asking = null;
      resolve(Boolean(used));
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** Who said "not now" is not asked again until the page is used again. */
let declined = false;
document.addEventListener("click", () => (declined = false), true);
askForKeysWith((isWrong) => (declined ? Promise.resolve(false) : askForKey(isWrong)));

document.getElementById("panels").append(...PANELS.map((panel) => h("a", { href: `#${panel.id}` }, panel.title)));
window.addEventListener("hashchange", show);
// A picture that misses its place would otherwise replace the page.
for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());
window.addEventListener("paste", (event) => {
  if (!event.defaultPrevented) place.querySelector(".drop")?.pasted(event);
});
window.addEventListener("unhandledrejection", ({ reason }) => {
  if (reason?.name !== "AbortError") place.prepend(refusal(reason));
});
show();
watchHealth();
