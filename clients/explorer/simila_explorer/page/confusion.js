// How often each class was taken for each other: true classes in rows, predicted ones in columns.

import { h } from "./dom.js";

const MOST_CLASSES = 30;

export function confusionMatrix({ classes, confusion }) {
  if (classes.length > MOST_CLASSES) return h("p", { className: "figures" }, `The confusion matrix of ${classes.length} classes is too large to show; ask for it as a picture: evaluate with Accept: image/png.`);
  const names = classes.map((one) => one.label);
  const cell = (row, column) => {
    const all = confusion[row].reduce((sum, items) => sum + items, 0) || 1;
    return h("td", { className: row === column ? "right" : "wrong", style: { "--share": confusion[row][column] / all } }, String(confusion[row][column] || "·"));
  };
  return h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Confusion matrix" }, h("table", { className: "confusion" },
    h("caption", {}, "Confusion: true classes in rows, predicted in columns"),
    h("thead", {}, h("tr", {}, h("td", {}), names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, names.map((name, row) => h("tr", {}, h("th", { scope: "row" }, name), names.map((_, column) => cell(row, column)))))));
}
