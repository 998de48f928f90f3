// Search: by words, by a picture, by more and less of what was found.

import { collectionPath, post } from "./api.js";
import { collectionChoice } from "./collections.js";
import { announce, count, field, h, settled } from "./dom.js";
import { filterBuilder } from "./filters.js";
import { card } from "./gallery.js";
import { classForm, selectBox } from "./labelling.js";
import { empty, showing } from "./notices.js";
import { dropZone } from "./pictures.js";
import { snippets } from "./snippets.js";

const TYPING_MILLISECONDS = 250;
const RESULTS = 24;

export function searchPanel() {
  return collectionChoice("Search", (choice) => new Searcher(choice).elements);
}

class Searcher {
  constructor(choice) {
    this.choice = choice;
    this.picture = null;
    this.examples = [];
    this.selected = new Set();
    this.giving = classForm((ids) => this.taught(ids));
    this.text = h("input", { type: "search", placeholder: "what it shows, in words" });
    this.given = h("ul", { className: "chips", ariaLabel: "Examples" });
    this.filters = filterBuilder(() => this.update());
    this.results = h("div", { className: "results" });
    this.zone = dropZone((picture) => this.lookFor(picture), { hint: "Drop, paste or choose a picture to search by" });
    this.textField = field("Words", this.text);
    this.text.addEventListener("input", settled(TYPING_MILLISECONDS, () => this.update()));
    choice.onchange(() => this.choose());
    choice.onshown(() => this.update());
    this.elements = [
      h("div", { className: "controls" },
        h("h2", {}, "Search"),
        h("p", { className: "lead" }, "What is most like this? Words, a picture, or what you found before."),
        choice.field, this.textField, this.zone, this.given,
        h("fieldset", {}, h("legend", {}, "Only items where"), this.filters.element)),
      h("div", { className: "stack" }, this.giving.element, this.results),
    ];
    this.choose();
  }

  choose() {
    this.examples = [];
    this.picture = null;
    this.selected.clear();
    this.drawChosen();
    const { modalities } = this.choice;
    this.textField.hidden = !modalities.includes("text");
    this.zone.hidden = !modalities.includes("image");
    this.filters.read(this.choice.name);
    this.results.replaceChildren();
    this.update();
  }

  lookFor(picture) {
    this.picture = picture;
    this.update();
  }

  /** More, or with a sign below zero less, like an item. */
  like(id, sign) {
    this.examples = [...this.examples.filter((example) => example.id !== id), { id, sign }];
    this.update();
  }

  /** What is selected can be taught. */
  drawChosen() {
    this.giving.offer(this.choice.name, [...this.selected]);
  }

  taught(ids) {
    for (const id of ids) this.selected.delete(id);
    this.drawChosen();
    this.update();
  }

  /** The request's body; null while nothing is looked for. */
  body() {
    const positive = this.examples.filter((example) => example.sign > 0).map(({ id }) => ({ id }));
    const negative = this.examples.filter((example) => example.sign < 0).map(({ id }) => ({ id }));
    if (this.picture) positive.push({ image: this.picture.uri });
    if (this.text.value.trim()) positive.push({ text: this.text.value.trim() });
    if (!positive.length) return null;
    const query = positive.length === 1 && !negative.length ? positive[0] : { positive, ...(negative.length && { negative }) };
    return { ...query, filter: this.filters.filter(), limit: RESULTS, explain: true };
  }

  update() {
    this.drawExamples();
    const body = this.body();
    showing(this.results, "Searching …", (signal) => (body ? this.found(body, signal) : this.browsed(signal)));
  }

  drawExamples() {
    const chip = (words, remove, kind, name) => h("li", {}, h("button", { type: "button", className: `chip ${kind}`, ariaLabel: `Remove ${name}`, onclick: () => {
      remove();
      this.update();
    } }, words));
    this.given.replaceChildren(
      ...(this.picture ? [chip(h("span", {}, h("img", { src: this.picture.uri, alt: "" }), this.picture.name), () => (this.picture = null), "more", `the picture ${this.picture.name}`)] : []),
      ...this.examples.map((example) => chip(`${example.sign > 0 ? "more like" : "less like"} ${example.id}`,
        () => (this.examples = this.examples.filter((one) => one !== example)), example.sign > 0 ? "more" : "less", `the example ${example.id}`)));
  }

  async found(body, signal) {
    const path = collectionPath(this.choice.name, "search");
    const began = performance.now();
    const answer = await post(path, body, { signal });
    const milliseconds = performance.now() - began;
    const { explain } = answer;
    announce(`${answer.results.length} results`);
    if (!answer.results.length) return empty("Nothing matches", "No item meets the conditions. Remove one.");
    const recall = explain.recall_at_10;
    const measured = recall ? Object.entries(recall).map(([kind, value]) => `${kind} ${value.toFixed(3)}`).join(", ") : "exact";
    const gallery = this.gallery(answer.results);
    return [
      h("p", { className: "figures" },
        `${answer.results.length} nearest of ${count(this.choice.entry.items)} · ${milliseconds.toFixed(0)} ms here, ` +
        `${explain.milliseconds.toFixed(1)} ms in the index (${explain.kind}) · recall at 10: ${measured}`),
      gallery,
      this.more(gallery, answer.next, (after, given) => post(path, { ...body, after }, { signal: given }).then((next) => [next.results, next.next])),
      snippets(path, body),
    ];
  }

  async browsed(signal) {
    const path = collectionPath(this.choice.name, "items", "scroll");
    const filter = this.filters.filter();
    const page = await post(path, { filter, limit: RESULTS }, { signal });
    if (!page.data.length) return filter ? empty("Nothing matches", "No item meets the conditions. Remove one.") : empty("This collection is empty", ["Add items in the panel ", h("a", { href: "#teach" }, "Teach"), ", or of a folder of pictures: ", h("code", {}, `simila collections import ${this.choice.name} FOLDER`)]);
    const gallery = this.gallery(page.data);
    return [
      h("p", { className: "figures" }, `${count(this.choice.entry.items)} items of ${this.choice.entry.encoder}, in the order they came`),
      gallery,
      this.more(gallery, page.next, (after, given) => post(path, { filter, limit: RESULTS, after }, { signal: given }).then((next) => [next.data, next.next])),
    ];
  }

  gallery(items) {
    return h("ul", { className: "gallery" }, items.map((item) => this.card(item)));
  }

  card(item) {
    return card(this.choice.name, item, this.choice.entry.store_inputs,
      h("button", { type: "button", className: "quiet", title: "More like this", ariaLabel: `More like ${item.id}`, onclick: () => this.like(item.id, 1) }, "More"),
      h("button", { type: "button", className: "quiet", title: "Less like this", ariaLabel: `Less like ${item.id}`, onclick: () => this.like(item.id, -1) }, "Less"),
      selectBox(this.selected, item, () => this.drawChosen()));
  }

  more(gallery, next, load) {
    if (!next) return null;
    const place = h("div", { className: "further" });
    place.append(h("button", { type: "button", onclick: () => showing(place, "Asking for more …", async (signal) => {
      const [items, following] = await load(next, signal);
      gallery.append(...items.map((item) => this.card(item)));
      return this.more(gallery, following, load);
    }) }, "Show more"));
    return place;
  }
}
