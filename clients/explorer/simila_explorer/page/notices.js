// What stands where results would: nothing yet, work under way, or a refusal in plain words.

import { askForAnotherKey } from "./api.js";
import { h } from "./dom.js";

const REFUSALS = {
  0: ["The server cannot be reached", "Is it still running? The page goes on where it was when it is back."],
  400: ["That is not accepted", null],
  401: ["A key is needed", "This server answers only to callers with an API key."],
  403: ["Your key does not allow this", "Ask whoever runs the server for a key of a wider scope."],
  404: ["It is not there", "It may have been removed meanwhile; choose another."],
  409: ["It does not go with what is there", null],
  413: ["That is too large", "Send something smaller, or have the named limit raised."],
  422: ["That cannot be done here", null],
  429: ["The server is busy", "More work waits than it takes on."],
  503: ["Not ready yet", "An encoder or a collection is still loading."],
  507: ["The disk is full", "Nothing was changed. Whoever runs the server can make room."],
  504: ["It took too long", "The server gave up at its time limit."],
};

export function empty(title, sentence, ...actions) {
  return h("div", { className: "notice empty" }, h("h3", {}, title), h("p", {}, sentence), actions);
}

export function loading(sentence) {
  return h("div", { className: "notice loading", role: "status" }, h("span", { className: "spinner", ariaHidden: "true" }), sentence);
}

/** A refusal, with the server's own sentence and, where trying again may help, a button for it. */
export function refusal(error, retry) {
  const [title, advice] = REFUSALS[error.status] ?? ["Something went wrong", null];
  const wait = error.retryAfterSeconds ? ` Try again in ${error.retryAfterSeconds} s.` : "";
  return h(
    "div",
    { className: "notice refusal", role: "alert", dataset: { status: String(error.status ?? "") } },
    h("h3", {}, title),
    h("p", {}, error.message),
    (advice || wait) && h("p", { className: "advice" }, (advice ?? "") + wait),
    h("div", { className: "row" },
      retry && h("button", { type: "button", onclick: retry }, "Try again"),
      retry && error.status === 403 && h("button", { type: "button", onclick: async () => (await askForAnotherKey()) && retry() }, "Use another key")),
  );
}

const SLOW_MILLISECONDS = 400;

/**
 * Show what `work(signal)` makes, or why not. What stood there stays meanwhile, dimmed, unless it was a notice.
 * Who asks again, or `still`, takes the place: work that was under way is given up by its signal, and shows nothing.
 */
export async function showing(place, sentence, work) {
  const signal = taken(place);
  const hasResults = place.hasChildNodes() && !place.querySelector(":scope > .notice");
  const timer = setTimeout(() => hasResults || place.replaceChildren(loading(sentence)), place.hasChildNodes() ? SLOW_MILLISECONDS : 0);
  place.ariaBusy = "true";
  try {
    const made = await work(signal);
    if (!signal.aborted) place.replaceChildren(...[made].flat().filter(Boolean));
  } catch (error) {
    if (!signal.aborted) place.replaceChildren(refusal(error, () => showing(place, sentence, work)));
  } finally {
    clearTimeout(timer);
    if (!signal.aborted) place.ariaBusy = null;
  }
}

/** Show these at once, whatever was under way. */
export function still(place, ...elements) {
  taken(place);
  place.ariaBusy = null;
  place.replaceChildren(...elements);
}

function taken(place) {
  place.work?.abort();
  place.work = new AbortController();
  return place.work.signal;
}
