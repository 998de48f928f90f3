// The collection that a panel is about.

import { get } from "./api.js";
import { count, field, h, select } from "./dom.js";
import { empty, showing } from "./notices.js";

/** What is chosen, and the field to choose it by. */
class Choice {
  constructor(entries, models) {
    this.models = models;
    this.select = select(entries.map((entry) => [entry.name, entry.name]));
    this.know(entries);
    this.field = field("Collection", this.select);
    const wanted = sessionStorage.getItem("simila-collection");
    if (entries.some((entry) => entry.name === wanted)) this.select.value = wanted;
  }

  know(entries) {
    this.entries = entries;
    entries.forEach(({ name, items }, at) => (this.select.options[at].textContent = `${name} (${count(items)})`));
  }

  get name() {
    return this.select.value;
  }

  get entry() {
    return this.entries.find((entry) => entry.name === this.name);
  }

  get modalities() {
    return this.models.find((model) => model.id === this.entry.encoder)?.modalities ?? [];
  }

  /** What the panel does when it is looked at again: another panel may have changed the collection. */
  onshown(call) {
    this.shown = call;
  }

  onchange(call) {
    this.select.addEventListener("change", () => {
      sessionStorage.setItem("simila-collection", this.name);
      call();
    });
  }
}

/** A panel of one collection; `make` gives its elements. `whenNone` stands there before any collection does. */
export function collectionChoice(title, make, whenNone) {
  const panel = h("section", { className: "panel split", ariaLabel: title });
  let choice = null;
  const read = () => showing(panel, "Asking for the collections …", async (signal) => {
    const [collections, models] = await Promise.all([get("/v1/collections", { signal }), get("/v1/models", { signal })]);
    const ready = readyOf(collections);
    choice = ready.length ? new Choice(ready, models.data) : null;
    if (choice) return make(choice);
    return whenNone?.(models.data, read) ?? empty("No collections yet", ["Make one in the panel ", h("a", { href: "#teach" }, "Teach"), ", or of a folder of pictures: ", h("code", {}, "simila collections import photos FOLDER --encoder simila-lite")],
      h("button", { type: "button", onclick: read }, "Look again"));
  });
  panel.addEventListener("shown", async () => {
    if (!choice) return read();
    const ready = readyOf(await get("/v1/collections"));
    if (namesOf(ready) !== namesOf(choice.entries)) return read();
    choice.know(ready);
    return choice.shown?.();
  });
  return panel;
}

const readyOf = (collections) => collections.data.filter((entry) => entry.state === "ready");
const namesOf = (entries) => entries.map((entry) => entry.name).join("/");
