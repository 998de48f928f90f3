// Giving classes to items that a person has picked out.

import { call, collectionPath } from "./api.js";
import { count, h } from "./dom.js";
import { refusal } from "./notices.js";

const MOST_AT_ONCE = 1000; // the server has a limit, and each request is one transaction

/** Give items another class, or none with null. */
export async function relabel(collection, ids, label) {
  const all = [...ids];
  for (let start = 0; start < all.length; start += MOST_AT_ONCE) {
    await call("PATCH", collectionPath(collection, "items"), { ids: all.slice(start, start + MOST_AT_ONCE), label });
  }
}

/** A form that gives items a class, and calls `done` when they have it. */
export function classForm(collection, ids, done) {
  const label = h("input", { ariaLabel: "Class for the selected items", placeholder: "a class for them", required: true });
  const trouble = h("div", {});
  return h("form", { className: "give", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await relabel(collection, ids, label.value.trim());
      await done();
    } catch (error) {
      trouble.replaceChildren(refusal(error));
    }
  } }, h("div", { className: "row" }, h("strong", {}, `${count(ids.length)} selected`), label,
    h("button", { type: "submit", className: "main" }, "Give the class")), trouble);
}

/** A box on a card that puts its item among `selected`, a set of ids, or takes it out. */
export function selectBox(selected, item, changed) {
  const box = h("input", { type: "checkbox", checked: selected.has(item.id), onchange: () => {
    selected[box.checked ? "add" : "delete"](item.id);
    changed();
  } });
  return h("label", { className: "check" }, box, h("span", { className: "unseen" }, item.id), "Select");
}
