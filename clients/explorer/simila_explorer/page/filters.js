// Filters from what the payloads of a collection hold: conditions of a key, a comparison and a value.

import { collectionPath, post } from "./api.js";
import { h, select } from "./dom.js";
import { showing } from "./notices.js";

const LOOKED_AT = 200;
const MOST_SUGGESTED = 50;
const LABEL = "$label";
const COMPARISONS = [["$eq", "is"], ["$ne", "is not"], ["$gt", "above"], ["$lt", "below"]];

/** Conditions that a person adds; `filter()` is what the server takes, undefined without any. */
export function filterBuilder(changed) {
  const conditions = [];
  const key = select([], { ariaLabel: "Key" });
  const comparison = select(COMPARISONS, { ariaLabel: "Comparison" });
  const suggestions = h("datalist", { id: "filter-values" });
  const value = h("input", { ariaLabel: "Value", placeholder: "value" });
  value.setAttribute("list", suggestions.id);
  const chips = h("ul", { className: "chips", ariaLabel: "Conditions" });
  const add = h("button", { type: "submit" }, "Add");
  const place = h("div", {});
  const form = h("form", { className: "row filter" }, key, comparison, value, suggestions, add);
  let values = new Map();

  const suggest = () => {
    const known = [...(values.get(key.value) ?? [])].slice(0, MOST_SUGGESTED);
    suggestions.replaceChildren(...known.map((one) => h("option", { value: String(one) })));
  };
  const draw = () => chips.replaceChildren(...conditions.map((condition) => h("li", {},
    h("button", { type: "button", className: "chip", ariaLabel: `Remove the condition ${condition.words}`, onclick: () => {
      conditions.splice(conditions.indexOf(condition), 1);
      draw();
      changed();
    } }, condition.words))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!key.value || !value.value) return;
    const meant = typed(value.value, values.get(key.value));
    conditions.push({
      query: { [key.value]: { [comparison.value]: meant } },
      words: `${shown(key.value)} ${comparison.selectedOptions[0].text} ${value.value}`,
    });
    value.value = "";
    draw();
    changed();
  });
  key.addEventListener("change", suggest);

  return {
    element: h("div", { className: "filters" }, place, chips),
    filter: () => (conditions.length ? { $and: conditions.map((condition) => condition.query) } : undefined),
    /** Begin with another collection. */
    read(collection) {
      conditions.length = 0;
      draw();
      place.replaceChildren();
      return showing(place, "Asking for the payloads …", async (signal) => {
        values = valuesOf((await post(collectionPath(collection, "items", "scroll"), { limit: LOOKED_AT }, { signal })).data);
        key.replaceChildren(...[...values.keys()].map((one) => h("option", { value: one }, shown(one))));
        suggest();
        return values.size ? form : h("p", { className: "advice" }, "The items have neither labels nor payloads.");
      });
    },
  };
}

const shown = (key) => (key === LABEL ? "label" : key);

/** What each key of the payloads holds, as far as the first items show. */
function valuesOf(items) {
  const found = new Map();
  const note = (key, value) => found.set(key, (found.get(key) ?? new Set()).add(value));
  for (const item of items) {
    if (item.label !== null) note(LABEL, item.label);
    for (const [key, value] of Object.entries(item.payload ?? {})) {
      if (["string", "number", "boolean"].includes(typeof value) && !key.startsWith("$")) note(key, value);
    }
  }
  return found;
}

/** A value compares with its own type only, so what was typed takes the type that the key holds. */
function typed(text, known = new Set()) {
  const kinds = new Set([...known].map((value) => typeof value));
  if (kinds.has("number") && !kinds.has("string") && Number.isFinite(Number(text))) return Number(text);
  if (kinds.has("boolean") && !kinds.has("string") && ["true", "false"].includes(text)) return text === "true";
  return text;
}
