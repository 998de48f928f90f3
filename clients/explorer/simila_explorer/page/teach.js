// Teach: give items classes, and see at once what that is worth.

import { collectionPath, get, post, put } from "./api.js";
import { collectionChoice } from "./collections.js";
import { confusionMatrix } from "./confusion.js";
import { announce, count, field, h, percent, settled } from "./dom.js";
import { card, replacePicture } from "./gallery.js";
import { relabel, selectBox } from "./labelling.js";
import { empty, refusal, showing } from "./notices.js";
import { dropZone } from "./pictures.js";

const SHOWN_ITEMS = 48;
const ADDING_MILLISECONDS = 300;

export function teachPanel() {
  return collectionChoice("Teach", (choice) => new Teacher(choice).elements, firstCollection);
}

class Teacher {
  constructor(choice) {
    this.choice = choice;
    this.selected = new Set();
    const known = h("datalist", { id: "known-classes" });
    this.known = known;
    this.label = h("input", { placeholder: "a class, new or known", autocomplete: "off" });
    this.label.setAttribute("list", known.id);
    this.give = h("button", { type: "button", className: "main", onclick: () => this.relabel(this.label.value.trim()) }, "Give the class");
    this.take = h("button", { type: "button", onclick: () => this.relabel(null) }, "Take it away");
    this.forget = h("button", { type: "button", className: "danger", onclick: () => this.forgetItems() }, "Forget");
    this.trouble = h("div", {});
    this.classes = h("div", { className: "results" });
    this.items = h("div", { className: "results" });
    this.text = h("input", { placeholder: "or a text to add" });
    this.addText = h("form", { onsubmit: (event) => {
      event.preventDefault();
      this.change(() => this.addTyped());
    } }, field("Text", this.text));
    this.refreshSoon = settled(ADDING_MILLISECONDS, () => this.refresh());
    this.zone = dropZone((picture) => this.addPicture(picture), { hint: "Drop, paste or choose pictures to add", multiple: true });
    choice.onchange(() => this.choose());
    choice.onshown(() => this.refresh());
    this.elements = [
      h("div", { className: "controls" },
        h("h2", {}, "Teach"),
        h("p", { className: "lead" }, "Items with a class teach the class. Select some below, or add new ones."),
        choice.field, field("Class", this.label, "Given to what is selected, and to what you add"), known,
        h("div", { className: "row" }, this.give, this.take, this.forget),
        this.zone, this.addText, this.trouble),
      h("div", { className: "stack" }, this.classes, this.items),
    ];
    this.choose();
  }

  choose() {
    this.selected.clear();
    this.zone.hidden = !this.choice.modalities.includes("image");
    this.addText.hidden = !this.choice.modalities.includes("text");
    this.trouble.replaceChildren();
    this.classes.replaceChildren();
    this.items.replaceChildren();
    this.refresh();
  }

  refresh() {
    this.showSelection();
    return Promise.all([
      showing(this.classes, "Judging each item by all others …", (signal) => this.judged(signal)),
      showing(this.items, "Asking for the items …", (signal) => this.listed(signal)),
    ]);
  }

  async judged(signal) {
    const { labels = {} } = await get(collectionPath(this.choice.name), { signal });
    this.known.replaceChildren(...Object.keys(labels).map((value) => h("option", { value })));
    if (!Object.keys(labels).length) return empty("No classes yet", "Select items below and give them a class; two classes make a classifier.");
    const report = Object.keys(labels).length < 2 ? null : await post(collectionPath(this.choice.name, "evaluate"), {}, { signal });
    if (report) announce(`Accuracy ${percent(report.accuracy)} of ${report.items} items`);
    return [
      report && h("p", { className: "accuracy" }, h("strong", {}, percent(report.accuracy)), ` of ${count(report.items)} items are classed rightly by the others (nearest mean, leave-one-out)`),
      classTable(labels, report, (label) => this.forgetClass(label)),
      report && confusionMatrix(report),
    ];
  }

  async listed(signal) {
    const page = await post(collectionPath(this.choice.name, "items", "scroll"), { limit: SHOWN_ITEMS }, { signal });
    if (!page.data.length) return empty("No items yet", "Drop pictures on the left, or type texts.");
    return [
      h("p", { className: "figures" }, page.next ? `The first ${SHOWN_ITEMS} items; the Map panel selects among all.` : `${page.data.length} items`),
      h("ul", { className: "gallery small" }, page.data.map((item) => this.card(item))),
    ];
  }

  card(item) {
    return card(this.choice.name, item, this.choice.entry.store_inputs, selectBox(this.selected, item, () => this.showSelection()));
  }

  showSelection() {
    const none = !this.selected.size;
    for (const button of [this.give, this.take, this.forget]) button.disabled = none || this.isChanging;
    this.give.textContent = none ? "Give the class" : `Give to ${this.selected.size}`;
  }

  async change(work) {
    this.trouble.replaceChildren();
    this.isChanging = true;
    this.showSelection();
    try {
      await work();
    } catch (error) {
      this.trouble.replaceChildren(refusal(error));
    } finally {
      this.isChanging = false;
    }
    await this.refresh();
  }

  /** Do `work` with the ids that are selected now; what is selected meanwhile stays so. */
  changeSelected(work) {
    const ids = [...this.selected];
    return this.change(async () => {
      await work(ids);
      for (const id of ids) this.selected.delete(id);
    });
  }

  relabel(label) {
    if (label === "") return this.label.focus();
    return this.changeSelected((ids) => relabel(this.choice.name, ids, label));
  }

  add(id, source) {
    const label = this.label.value.trim() || undefined;
    return post(collectionPath(this.choice.name, "items"), { items: [{ id, label, ...source }] });
  }

  async addTyped() {
    const text = this.text.value.trim();
    if (!text) return;
    await this.add(text.slice(0, 80), { text });
    if (this.text.value.trim() === text) this.text.value = "";
  }

  async addPicture({ name, uri }) {
    const collection = this.choice.name;
    await this.add(name, { image: uri });
    if (this.choice.entry.store_inputs) replacePicture(collection, name);
    this.refreshSoon();
  }

  forgetItems() {
    if (!confirm(`Forget ${this.selected.size} items for good?`)) return null;
    return this.changeSelected((ids) => post(collectionPath(this.choice.name, "forget"), { ids }));
  }

  forgetClass(label) {
    if (!confirm(`Forget the class ${label} with all its items for good?`)) return null;
    return this.change(() => post(collectionPath(this.choice.name, "forget"), { label }));
  }
}

function classTable(labels, report, forget) {
  const figures = new Map((report?.classes ?? []).map((one) => [one.label, one]));
  const row = ([label, items]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, count(items)),
    h("td", {}, figures.has(label) ? percent(figures.get(label).recall) : "–"), h("td", {}, figures.has(label) ? percent(figures.get(label).precision) : "–"),
    h("td", {}, h("button", { type: "button", className: "quiet danger", ariaLabel: `Forget the class ${label}`, onclick: () => forget(label) }, "Forget")));
  return h("table", { className: "classes" },
    h("thead", {}, h("tr", {}, ["Class", "Items", "Recall", "Precision", ""].map((title) => title ? h("th", { scope: "col" }, title) : h("td", {})))),
    h("tbody", {}, Object.entries(labels).map(row)));
}

/** Before there is a collection: a form that makes one which keeps its pictures. */
function firstCollection(models, made) {
  const name = h("input", { value: "photos", required: true });
  const encoder = h("select", {}, models.map((model) => h("option", { value: model.id, selected: model.modalities.length > 1 }, model.id)));
  const trouble = h("div", {});
  const make = async () => {
    await put(collectionPath(name.value), { encoder: encoder.value, store_inputs: true });
    made();
  };
  return h("form", { className: "controls notice", onsubmit: (event) => {
    event.preventDefault();
    showing(trouble, "Making it …", make);
  } }, h("h3", {}, "No collections yet"), field("Name", name), field("Encoder", encoder), h("button", { type: "submit", className: "main" }, "Make a collection"), trouble);
}
