// Items as cards: their picture, if the collection keeps it, score, label and payload.

import { call, collectionPath, idPath } from "./api.js";
import { h } from "./dom.js";

const THUMBNAIL_PIXELS = 256;
const MOST_KEPT = 400;
const kept = new Map();

const pathOf = (collection, id) => `${collectionPath(collection, "thumbnails", idPath(id))}?size=${THUMBNAIL_PIXELS}`;

/** The address of an item's picture within this page, or null where the server has none. */
export function pictureOf(collection, id) {
  const path = pathOf(collection, id);
  if (!kept.has(path)) {
    if (kept.size >= MOST_KEPT) forget(kept.keys().next().value);
    kept.set(path, addressed(path));
  }
  return kept.get(path);
}

async function addressed(path, cache) {
  try {
    const answer = await call("GET", path, undefined, { cache });
    return URL.createObjectURL(await answer.blob());
  } catch {
    kept.delete(path); // what fails now may be there when it is asked for again
    return null;
  }
}

/** Another picture has taken an item's place. */
export function replacePicture(collection, id) {
  const path = pathOf(collection, id);
  forget(path);
  kept.set(path, addressed(path, "reload"));
}

async function forget(path) {
  const address = kept.get(path);
  kept.delete(path);
  if (await address) URL.revokeObjectURL(await address);
}

/** A picture that comes when it is needed; where there is none, the item's first letter stands for it. */
export function thumbnail(collection, item, hasPictures) {
  const frame = h("div", { className: "thumbnail" }, h("span", { className: "letter", ariaHidden: "true" }, [...item.id][0]));
  if (!hasPictures) return frame;
  new IntersectionObserver(async ([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    const address = await pictureOf(collection, item.id);
    if (address) frame.replaceChildren(h("img", { src: address, alt: "" }));
  }, { rootMargin: "200px" }).observe(frame);
  return frame;
}

export function card(collection, item, hasPictures, ...actions) {
  return h("li", { className: "card" },
    thumbnail(collection, item, hasPictures),
    h("div", { className: "about" },
      h("p", { className: "id", title: item.id }, item.id),
      h("p", { className: "figures" },
        item.score !== undefined && h("span", { className: "score" }, item.score.toFixed(3)),
        item.label && h("span", { className: "label" }, item.label)),
      item.payload && payload(item.payload)),
    h("div", { className: "actions" }, actions));
}

function payload(values) {
  const entries = Object.entries(values);
  if (!entries.length) return null;
  return h("details", {}, h("summary", {}, `${entries.length} ${entries.length === 1 ? "value" : "values"}`),
    h("dl", {}, entries.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))])));
}
