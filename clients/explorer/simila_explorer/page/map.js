// Map: a whole collection at a glance, and a way to take hold of parts of it.

import { collectionPath, get, post } from "./api.js";
import { coloured } from "./colours.js";
import { collectionChoice } from "./collections.js";
import { announce, count, field, h, select } from "./dom.js";
import { card, pictureOf } from "./gallery.js";
import { classForm } from "./labelling.js";
import { empty, loading, refusal, showing } from "./notices.js";
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
    this.below = h("div", {});
    this.hover = h("div", { className: "hover", hidden: true });
    this.again = h("button", { type: "button", onclick: () => this.make() }, "Make it anew");
    this.lasso = h("button", { type: "button", ariaPressed: "false", onclick: () => this.toggleLasso() }, "Lasso");
    this.colour.addEventListener("change", () => this.read());
    this.mark.addEventListener("change", () => this.paint());
    choice.onchange(() => this.choose());
    choice.onshown(() => (this.points ? this.read().catch(() => this.choose()) : this.choose()));
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
    this.below.replaceChildren();
    this.legend.replaceChildren();
    this.points = null;
    return showing(this.place, "Asking for the map …", async () => {
      await this.readKeys();
      if (!this.choice.entry.items) return empty("This collection is empty", "There is nothing to lay out yet.");
      try {
        if ((await get(this.path)).state === "failed") return this.offer();
      } catch (error) {
        if (error.status === 404) return this.offer();
        throw error;
      }
      return this.waited();
    });
  }

  offer() {
    return empty("No map yet", `The server lays out ${count(this.choice.entry.items)} items in the background, and keeps the map.`,
      h("button", { type: "button", className: "main", onclick: () => this.make() }, "Make the map"));
  }

  async readKeys() {
    const { data } = await post(collectionPath(this.choice.name, "items", "scroll"), { limit: 100 });
    const keys = new Set(data.flatMap((item) => Object.keys(item.payload ?? {})));
    this.colour.replaceChildren(...[...Object.entries(OWN_COLOURS).map(([key, { name }]) => [key, name]), ...[...keys].map((key) => [key, key])].map(([value, text]) => h("option", { value }, text)));
  }

  make() {
    return showing(this.place, "Beginning …", async () => {
      await post(this.path, {});
      return this.waited();
    });
  }

  async waited() {
    const bar = h("progress", { ariaLabel: "Progress of the map" });
    for (;;) {
      const state = await get(this.path);
      if (state.state === "failed") return refusal(new Error(state.error), () => this.make());
      if (state.state === "done") return this.drawn();
      [bar.max, bar.value] = [state.rows_total || 1, state.rows_done];
      if (!bar.isConnected) this.place.replaceChildren(loading("Laying the items out …"), bar);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  }

  async drawn() {
    this.scatter ??= new Scatter({ onpick: (...at) => this.point(...at), onlasso: (indices) => this.select(indices) });
    if (!this.scatter.isSupported) return empty("No WebGL here", "This browser cannot draw the map.");
    this.said = h("p", { className: "figures" });
    this.scatter.isMoved = false;
    await this.read();
    return [this.said, h("div", { className: "frame" }, this.scatter.element, this.hover)];
  }

  async read() {
    const key = this.colour.value;
    const own = Object.hasOwn(OWN_COLOURS, key) ? OWN_COLOURS[key] : null;
    const query = own ? "" : `?values_of=${encodeURIComponent(key)}`;
    this.points = await get(`${this.path}/points${query}`);
    const places = new Float32Array(this.points.ids.length * 2);
    this.points.x.forEach((x, at) => places.set([x, this.points.y[at]], at * 2));
    this.said.textContent = `${count(this.points.ids.length)} items`;
    const { bytes, legend } = coloured(own ? own.values(this.points) : this.points.values);
    this.bytes = bytes;
    this.legend.replaceChildren(...legend.map(({ name, css, at }) => h("li", {},
      h("button", { type: "button", className: "quiet", title: "Select these", onclick: () => this.select(at) },
        h("span", { className: "dot", style: { background: css } }), name, h("small", {}, count(at.length))))));
    this.scatter.set(places, bytes, this.sizes());
  }

  paint() {
    if (this.points) this.scatter.paint(this.bytes, this.sizes());
  }

  marked() {
    const { nearest } = this.points;
    if (!this.mark.value || !nearest) return () => false;
    if (this.mark.value === "duplicates") return (at) => nearest[at] >= NEAR_DUPLICATE;
    const known = nearest.filter((cosine) => cosine > -1).sort((a, b) => a - b);
    const limit = known[Math.max(0, Math.ceil(known.length * OUTLIER_SHARE) - 1)];
    return (at) => nearest[at] > -1 && nearest[at] <= limit;
  }

  sizes() {
    const base = this.points.ids.length > 20000 ? 3 : this.points.ids.length > 1000 ? 5 : 10;
    const isMarked = this.marked();
    const found = this.points.ids.map((_, at) => at).filter(isMarked);
    if (this.mark.value) {
      const words = this.points.nearest ? `${count(found.length)} ${this.mark.selectedOptions[0].text}` : "too many items to compare each with all";
      this.said.textContent = `${count(this.points.ids.length)} items · ${words}`;
      announce(words);
      if (found.length) this.select(found);
    }
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
    if (!indices.length) return this.below.replaceChildren();
    const ids = indices.map((at) => this.points.ids[at]);
    const items = indices.slice(0, SHOWN_SELECTED).map((at) => ({ id: this.points.ids[at], label: this.points.labels[at] }));
    this.below.replaceChildren(h("div", { className: "results" },
      classForm(this.choice.name, ids, async () => {
        await this.read();
        this.below.replaceChildren();
      }),
      h("ul", { className: "gallery small" }, items.map((item) => card(this.choice.name, item, this.choice.entry.store_inputs)))));
    return undefined;
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
