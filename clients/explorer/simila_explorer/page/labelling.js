// Giving classes to items that a person has picked out.

import { call, collectionPath } from "./api.js";
import { announce, count, h } from "./dom.js";
import { refusal } from "./notices.js";

const MOST_AT_ONCE = 1000; // the server has a limit, and each request is one transaction

/** Give items another class, or none with null. */
export async function relabel(collection, ids, label) {
  const all = [...ids];
  for (let start = 0; start < all.length; start += MOST_AT_ONCE) {
    await call("PATCH", collectionPath(collection, "items"), { ids: all.slice(start, start + MOST_AT_ONCE), label });
  }
}

/** A form that gives a class to the items it is offered, and calls `done(ids)` when they have it. */
export function classForm(done) {
  let offered = { collection: "", ids: [] };
  const counted = h("strong", {});
  const label = h("input", { ariaLabel: "Class for the selected items", placeholder: "a class for them", required: true });
  const give = h("button", { type: "submit", className: "main" }, "Give the class");
  const trouble = h("div", {});
  const element = h("form", { className: "give", hidden: true, onsubmit: async (event) => {
    event.preventDefault();
    const { collection, ids } = offered;
    if (!label.value.trim() || give.disabled) return;
    give.disabled = true;
    trouble.replaceChildren();
    try {
      await relabel(collection, ids, label.value.trim());
      announce(`${ids.length} items have the class`);
      label.value = "";
      if (offered.collection === collection) await done(ids);
    } catch (error) {
      trouble.replaceChildren(refusal(error));
    } finally {
      give.disabled = false;
    }
  } }, h("div", { className: "row" }, counted, label, give), trouble);
  const offer = (collection, ids) => {
    offered = { collection, ids };
    counted.textContent = `${count(ids.length)} selected`;
    element.hidden = !ids.length;
    if (element.hidden) trouble.replaceChildren();
  };
  return { element, offer };
}

/** A box on a card that puts its item among `selected`, a set of ids, or takes it out. */
export function selectBox(selected, item, changed) {
  const box = h("input", { type: "checkbox", checked: selected.has(item.id), onchange: () => {
    selected[box.checked ? "add" : "delete"](item.id);
    changed();
  } });
  return h("label", { className: "check" }, box, h("span", { className: "unseen" }, item.id), "Select");
}
