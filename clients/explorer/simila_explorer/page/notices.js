// What stands where results would: nothing yet, work under way, or a refusal in plain words.

import { h } from "./dom.js";

const REFUSALS = {
  0: ["The server cannot be reached", "Is it still running? The page goes on where it was when it is back."],
  401: ["A key is needed", "This server answers only to callers with an API key."],
  403: ["Your key does not allow this", "Ask whoever runs the server for a key of a wider scope."],
  404: ["It is not there", "It may have been removed meanwhile; choose another."],
  409: ["It is of another encoder", "The collection was made with another encoder, or another revision of it."],
  413: ["That is too large", "Send something smaller, or have the named limit raised."],
  422: ["That cannot be done here", null],
  429: ["The server is busy", "More work waits than it takes on."],
  503: ["Not ready yet", "An encoder or a collection is still loading."],
  504: ["It took too long", "The server gave up at its time limit."],
};

export function empty(title, sentence, ...actions) {
  return h("div", { className: "notice empty" }, h("h3", {}, title), h("p", {}, sentence), actions);
}

export function loading(sentence) {
  return h("div", { className: "notice loading", role: "status" }, h("span", { className: "spinner", ariaHidden: "true" }), sentence);
}

/** A refusal, with the server's own sentence and, where trying again may help, a button for it. */
export function refusal(error, retry) {
  const [title, advice] = REFUSALS[error.status] ?? ["Something went wrong", null];
  const wait = error.retryAfterSeconds ? ` Try again in ${error.retryAfterSeconds} s.` : "";
  return h(
    "div",
    { className: "notice refusal", role: "alert", dataset: { status: String(error.status ?? "") } },
    h("h3", {}, title),
    h("p", {}, error.message),
    (advice || wait) && h("p", { className: "advice" }, (advice ?? "") + wait),
    retry && h("button", { type: "button", onclick: retry }, "Try again"),
  );
}

/** Show `loading`, then what `work` makes, or why not; of several at once the last one counts. */
export async function showing(place, sentence, work) {
  const turn = (place.turn = (place.turn ?? 0) + 1);
  const timer = setTimeout(() => place.turn === turn && place.replaceChildren(loading(sentence)), place.childElementCount ? 400 : 0);
  place.setAttribute("aria-busy", "true");
  try {
    const made = await work();
    if (place.turn === turn) place.replaceChildren(...[made].flat().filter(Boolean));
  } catch (error) {
    if (error.name === "AbortError" || place.turn !== turn) return;
    place.replaceChildren(refusal(error, () => showing(place, sentence, work)));
  } finally {
    clearTimeout(timer);
    if (place.turn === turn) place.removeAttribute("aria-busy");
  }
}
