// Elements are made of properties and children; a string is always text, never HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name in element && !name.startsWith("aria-")) element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

let lastId = 0;

/** A control under its label, with a hint below. */
export function field(label, control, hint) {
  control.id ||= `control-${++lastId}`;
  const below = hint && h("small", { id: `${control.id}-hint` }, hint);
  if (below) control.setAttribute("aria-describedby", below.id);
  return h("div", { className: "field" }, h("label", { htmlFor: control.id }, label), control, below);
}

export function select(options, properties = {}) {
  const { value: chosen, ...others } = properties;
  const element = h("select", others, options.map((one) => {
    const [value, text] = Array.isArray(one) ? one : [one, one];
    return h("option", { value }, text);
  }));
  if (chosen !== undefined) element.value = chosen; // there is none to choose before
  return element;
}

/** Tell who cannot see the page what has changed. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}

/** Call at most once in so many milliseconds, the last time for certain. */
export function settled(milliseconds, call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds);
  };
}

export const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
export const count = (number) => number.toLocaleString("en");
export const bytes = (number) =>
  number < 1e6 ? `${(number / 1e3).toFixed(0)} kB` : number < 1e9 ? `${(number / 1e6).toFixed(1)} MB` : `${(number / 1e9).toFixed(2)} GB`;
