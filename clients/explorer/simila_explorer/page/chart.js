// A figure over the last minute, as a line that grows at its right end.

import { h, svg } from "./dom.js";

const SAMPLES = 60;
const [WIDTH, HEIGHT] = [240, 64];

export function liveChart(title, unit) {
  const values = [];
  const line = svg("path", { class: "line" });
  const area = svg("path", { class: "area" });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  const now = h("strong", {}, "–");
  const most = h("span", { className: "most" });
  const element = h("figure", { className: "chart" }, h("figcaption", {}, title), h("p", {}, now, " ", h("span", {}, unit), most), drawing);
  return {
    element,
    /** Append a value; null draws a gap. */
    add(value) {
      values.push(value);
      if (values.length > SAMPLES) values.shift();
      const known = values.filter((one) => one !== null);
      const top = Math.max(...known, 1e-9);
      now.textContent = value === null ? "–" : short(value);
      most.textContent = known.length ? `most ${short(Math.max(...known))}` : "";
      const points = values.map((one, at) => one === null ? null : [WIDTH - (values.length - 1 - at) * (WIDTH / (SAMPLES - 1)), HEIGHT - 3 - (one / top) * (HEIGHT - 8)]);
      line.setAttribute("d", path(points));
      area.setAttribute("d", runs(points).map((run) => `M${run[0][0]},${HEIGHT}L${run.map((point) => point.join()).join("L")}L${run.at(-1)[0]},${HEIGHT}Z`).join(""));
    },
  };
}

const short = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const path = (points) => runs(points).map((run) => `M${run.map((point) => point.join()).join("L")}`).join("");

function runs(points) {
  const found = [[]];
  for (const point of points) {
    if (point) found.at(-1).push(point);
    else found.push([]);
  }
  return found.filter((run) => run.length);
}
