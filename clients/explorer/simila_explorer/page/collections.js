// The collection that a panel is about.

import { get } from "./api.js";
import { count, field, h, select } from "./dom.js";
import { empty, showing } from "./notices.js";

/** What is chosen, and the field to choose it by. */
class Choice {
  constructor(entries, models) {
    this.entries = entries;
    this.models = models;
    this.select = select(entries.map((entry) => [entry.name, `${entry.name} (${count(entry.items)})`]));
    this.field = field("Collection", this.select);
    const wanted = sessionStorage.getItem("simila-collection");
    if (entries.some((entry) => entry.name === wanted)) this.select.value = wanted;
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
  let known = null;
  const read = () => showing(panel, "Asking for the collections …", async () => {
    const [collections, models] = await Promise.all([get("/v1/collections"), get("/v1/models")]);
    const ready = collections.data.filter((entry) => entry.state === "ready");
    known = ready.map((entry) => entry.name).join("/");
    if (ready.length) return make(new Choice(ready, models.data));
    return whenNone?.(models.data, read) ?? empty("No collections yet", "Import a folder of pictures with: simila collections import photos FOLDER --encoder simila-lite",
      h("button", { type: "button", onclick: read }, "Look again"));
  });
  panel.addEventListener("shown", async () => {
    if (known === null) return read();
    const names = (await get("/v1/collections")).data.filter((entry) => entry.state === "ready").map((entry) => entry.name).join("/");
    if (names !== known) read();
  });
  return panel;
}
