// Map: a whole collection at a glance, and a way to take hold of parts of it.

import { collectionPath, get, post } from "./api.js";
import { coloured } from "./colours.js";
import { collectionChoice } from "./collections.js";
import { announce, count, field, h, select } from "./dom.js";
import { card, pictureOf } from "./gallery.js";
import { classForm } from "./labelling.js";
import { empty, loading, refusal, showing, still } from "./notices.js";
import { Scatter } from "./scatter.js";

const POLL_MILLISECONDS = 300;
const NEAR_DUPLICATE = 0.98;
const OUTLIER_SHARE = 0.02;
const SHOWN_SELECTED = 24;
// Payloads' keys that filters address do not begin with '$', so no key is one of these.
const OWN_COLOURS = {
  $label: { name: "label", values: (points) => points.labels },
  $cluster: { name: "cluster", values: (points) => clusterNames(points) },
};

export function mapPanel() {
  return collectionChoice("Map", (choice) => new Mapper(choice).elements);
}

class Mapper {
  constructor(choice) {
    this.choice = choice;
    this.colour = select([]);
    this.mark = select([["", "nothing"], ["duplicates", "near-duplicates"], ["outliers", "outliers"]]);
    this.legend = h("ul", { className: "legend", ariaLabel: "Colours" });
    this.place = h("div", { className: "results plane" });
    this.said = h("div", { className: "figures" });
    this.giving = classForm((ids) => this.taught(ids));
    this.chosen = h("ul", { className: "gallery small" });
    this.below = h("div", { className: "results", hidden: true }, this.giving.element, this.chosen);
    this.hover = h("div", { className: "hover", hidden: true });
    this.again = h("button", { type: "button", onclick: () => this.make() }, "Make it anew");
    this.lasso = h("button", { type: "button", ariaPressed: "false", onclick: () => this.toggleLasso() }, "Lasso");
    this.colour.addEventListener("change", () => this.points && this.readAnew());
    this.mark.addEventListener("change", () => this.points && this.paint());
    choice.onchange(() => this.choose());
    choice.onshown(() => (this.points ? this.readAnew() : this.choose()));
    this.elements = [
      h("div", { className: "controls" },
        h("h2", {}, "Map"),
        h("p", { className: "lead" }, "Alike items lie close. By the two directions in which vectors vary most (PCA)."),
        choice.field, field("Colour by", this.colour), field("Mark", this.mark), h("div", { className: "row" }, this.lasso, this.again), this.legend),
      h("div", { className: "stack" }, this.place, this.below),
    ];
    this.choose();
  }

  get path() {
    return collectionPath(this.choice.name, "map");
  }

  choose() {
    this.forgetPoints();
    this.place.replaceChildren();
    this.again.disabled = !this.choice.entry.items;
    return showing(this.place, "Asking for the map …", async (signal) => {
      await this.readKeys(signal);
      if (!this.choice.entry.items) return empty("This collection is empty", "There is nothing to lay out yet.");
      try {
        if ((await get(this.path, { signal })).state === "failed") return this.offer();
      } catch (error) {
        if (error.status === 404) return this.offer();
        throw error;
      }
      return this.waited(signal);
    });
  }

  /** Nothing of what was drawn can be taken hold of any more. */
  forgetPoints() {
    this.points = null;
    this.below.hidden = this.hover.hidden = true;
    this.legend.replaceChildren();
    still(this.said);
  }

  offer() {
    return empty("No map yet", `The server lays out ${count(this.choice.entry.items)} items in the background, and keeps the map.`,
      h("button", { type: "button", className: "main", onclick: () => this.make() }, "Make the map"));
  }

  async readKeys(signal) {
    const { data } = await post(collectionPath(this.choice.name, "items", "scroll"), { limit: 100 }, { signal });
    const keys = new Set(data.flatMap((item) => Object.keys(item.payload ?? {})));
    this.colour.replaceChildren(...[...Object.entries(OWN_COLOURS).map(([key, { name }]) => [key, name]), ...[...keys].map((key) => [key, key])].map(([value, text]) => h("option", { value }, text)));
  }

  make() {
    this.forgetPoints();
    this.place.replaceChildren();
    return showing(this.place, "Beginning …", async (signal) => {
      await post(this.path, {}, { signal });
      return this.waited(signal);
    });
  }

  async waited(signal) {
    const bar = h("progress", { ariaLabel: "Progress of the map" });
    for (;;) {
      const state = await get(this.path, { signal });
      if (state.state === "failed") return refusal(new Error(state.error), () => this.make());
      if (state.state === "done") return this.drawn(signal);
      [bar.max, bar.value] = [state.rows_total || 1, state.rows_done];
      if (!bar.isConnected) this.place.replaceChildren(loading("Laying the items out …"), bar);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      signal.throwIfAborted();
    }
  }

  async drawn(signal) {
    this.scatter ??= new Scatter({ onpick: (...at) => this.point(...at), onlasso: (indices) => this.select(indices) });
    if (!this.scatter.isSupported) return empty("No WebGL here", "This browser cannot draw the map.");
    this.scatter.isMoved = false;
    this.scatter.isLasso = this.lasso.ariaPressed === "true";
    this.said.replaceChildren(await this.read(signal));
    if (this.mark.value) this.select(this.marked());
    return [this.said, h("div", { className: "frame" }, this.scatter.element, this.hover)];
  }

  /** The points again, of other colours or after a change; where they are gone, what there is to do. */
  readAnew() {
    return showing(this.said, "Asking for the points …", async (signal) => {
      try {
        return await this.read(signal);
      } catch (error) {
        if (error.status !== 404) throw error;
        return this.choose();
      }
    });
  }

  /** Read and draw the points; return what there is to say of them. */
  async read(signal) {
    const key = this.colour.value;
    const own = Object.hasOwn(OWN_COLOURS, key) ? OWN_COLOURS[key] : null;
    const query = own ? "" : `?values_of=${encodeURIComponent(key)}`;
    this.points = await get(`${this.path}/points${query}`, { signal });
    this.hover.at = -1;
    const places = new Float32Array(this.points.ids.length * 2);
    this.points.x.forEach((x, at) => places.set([x, this.points.y[at]], at * 2));
    const { bytes, legend } = coloured(own ? own.values(this.points) : this.points.values);
    this.bytes = bytes;
    this.legend.replaceChildren(...legend.map(({ name, css, at }) => h("li", {},
      h("button", { type: "button", className: "quiet", title: "Select these", onclick: () => this.select(at) },
        h("span", { className: "dot", style: { background: css } }), name, h("small", {}, count(at.length))))));
    const found = this.marked();
    this.scatter.set(places, bytes, this.sizes(found));
    return this.words(found);
  }

  paint() {
    const found = this.marked();
    this.scatter.paint(this.bytes, this.sizes(found));
    this.said.replaceChildren(this.words(found)); // new points may be under way, and come with their own
    announce(this.said.textContent);
    if (found.length) this.select(found);
  }

  /** Which points are near-duplicates or outliers, as is chosen. */
  marked() {
    const { nearest } = this.points;
    if (!this.mark.value || !nearest) return [];
    const positions = [...nearest.keys()];
    if (this.mark.value === "duplicates") return positions.filter((at) => nearest[at] >= NEAR_DUPLICATE);
    const known = nearest.filter((cosine) => cosine > -1).sort((a, b) => a - b);
    const limit = known[Math.max(0, Math.ceil(known.length * OUTLIER_SHARE) - 1)];
    return positions.filter((at) => nearest[at] > -1 && nearest[at] <= limit);
  }

  words(found) {
    const items = `${count(this.points.ids.length)} items`;
    if (!this.mark.value) return items;
    return `${items} · ${this.points.nearest ? `${count(found.length)} ${this.mark.selectedOptions[0].text}` : "too many to compare each with all"}`;
  }

  sizes(found) {
    const base = this.points.ids.length > 20000 ? 3 : this.points.ids.length > 1000 ? 5 : 10;
    const sizes = new Float32Array(this.points.ids.length).fill(base);
    for (const at of found) sizes[at] = base * 2;
    return sizes;
  }

  async point(at, x, y) {
    this.hover.hidden = at < 0;
    if (at < 0) return;
    this.hover.style.setProperty("--x", `${x}px`);
    this.hover.style.setProperty("--y", `${y}px`);
    if (this.hover.at === at) return;
    this.hover.at = at;
    const id = this.points.ids[at];
    this.hover.replaceChildren(h("p", {}, id), ...(this.points.labels[at] ? [h("span", { className: "label" }, this.points.labels[at])] : []));
    const address = this.choice.entry.store_inputs && (await pictureOf(this.choice.name, id));
    if (address && this.hover.at === at) this.hover.prepend(h("img", { src: address, alt: "" }));
  }

  toggleLasso() {
    const isOn = this.lasso.ariaPressed !== "true";
    this.lasso.ariaPressed = String(isOn);
    if (this.scatter) this.scatter.isLasso = isOn;
  }

  select(indices) {
    announce(`${indices.length} items selected`);
    const ids = indices.map((at) => this.points.ids[at]);
    this.giving.offer(this.choice.name, ids);
    this.below.hidden = !ids.length;
    this.chosen.replaceChildren(...indices.slice(0, SHOWN_SELECTED).map((at) =>
      card(this.choice.name, { id: this.points.ids[at], label: this.points.labels[at] }, this.choice.entry.store_inputs)));
    this.selected = ids;
  }

  async taught(ids) {
    await this.readAnew();
    if (this.selected === ids) this.below.hidden = true;
  }
}

/** The cluster of each item, named by its number and, where most of its items have one, by their class. */
function clusterNames({ clusters, labels }) {
  const members = Map.groupBy(clusters.keys(), (at) => clusters[at]);
  const names = new Map([...members].map(([cluster, items]) => {
    const classes = [...Map.groupBy(items, (at) => labels[at])].sort((a, b) => b[1].length - a[1].length);
    const [label, most] = classes[0];
    return [cluster, label !== null && most.length * 2 > items.length ? `${cluster + 1}, mostly ${label}` : `${cluster + 1}`];
  }));
  return clusters.map((cluster) => (cluster < 0 ? null : names.get(cluster)));
}
