// Server: what is served, how it was checked, and how it is doing now.

import { call, get } from "./api.js";
import { bytes, count, h } from "./dom.js";
import { liveChart } from "./chart.js";
import { between, parsed } from "./metrics.js";
import { empty, refusal, showing } from "./notices.js";

const SAMPLE_MILLISECONDS = 1000;
const LIST_MILLISECONDS = 5000;

export function serverPanel() {
  const encoders = h("div", { className: "sheets" });
  const collections = h("div", { className: "sheets" });
  const trouble = h("div", {});
  const charts = {
    throughput: liveChart("Throughput", "requests/s"),
    latency: liveChart("Median latency", "ms"),
    batch: liveChart("Batch size", "rows"),
    queue: liveChart("Work in flight", "tokens, images"),
  };
  const panel = h("section", { className: "panel stack", ariaLabel: "Server" },
    h("h2", {}, "Server"), trouble,
    h("div", { className: "charts" }, Object.values(charts).map((chart) => chart.element)),
    h("h3", {}, "Encoders"), encoders, h("h3", {}, "Collections"), collections);

  whileShown(panel, SAMPLE_MILLISECONDS, sampling(charts, trouble));
  whileShown(panel, LIST_MILLISECONDS, () => list(encoders, collections));
  return panel;
}

/** Do `work` again and again while the panel is looked at; left and shown again within the pause, it goes on as it was. */
function whileShown(panel, milliseconds, work) {
  let isRunning = false;
  panel.addEventListener("shown", async () => {
    if (isRunning) return;
    isRunning = true;
    while (panel.isConnected) {
      await work();
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
    isRunning = false;
  });
}

function sampling(charts, trouble) {
  let last = null;
  return async () => {
    try {
      const now = { at: performance.now(), samples: parsed(await (await call("GET", "/metrics", undefined, { asks: false })).text()) };
      if (last) {
        const figures = between(last.samples, now.samples, (now.at - last.at) / 1000);
        for (const [name, chart] of Object.entries(charts)) chart.add(figures[name]);
      }
      last = now;
      trouble.replaceChildren();
    } catch (error) {
      last = null; // a server that starts again counts from zero
      if (!trouble.hasChildNodes()) trouble.replaceChildren(refusal(error));
    }
  };
}

function list(encoders, collections) {
  return Promise.all([
    showing(encoders, "Asking for the encoders …", async (signal) => (await get("/v1/models", { signal })).data.map(encoderSheet)),
    showing(collections, "Asking for the collections …", async (signal) => {
      const { data } = await get("/v1/collections", { signal });
      return data.length ? data.map(collectionSheet) : empty("No collections yet", ["Make one in the panel ", h("a", { href: "#teach" }, "Teach"), "."]);
    }),
  ]);
}

function sheet(title, state, problem, figures) {
  return h("article", { className: "sheet" },
    h("h4", {}, title, h("span", { className: "state", dataset: { state } }, state)),
    problem && h("p", { className: "fault" }, problem),
    h("dl", {}, figures.filter(Boolean).flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)])));
}

function encoderSheet(model) {
  const towers = Object.entries(model.certificates).map(([tower, { lowest_cosine, floor, inputs }]) => [
    `Certificate, ${tower}`, `${lowest_cosine.toFixed(6)} at least, of ${inputs} inputs (floor ${floor})`]);
  const runs = model.modalities.map((tower) => `${tower}: ${model.precisions[tower]} on ${model.devices[tower] ?? "nothing yet"}`);
  return sheet(model.id, model.state, model.error, [
    ["Embeds", model.modalities.join(", ")], ["Dimensions", count(model.dimension)], ...towers, ["Runs", runs.join("; ")],
    ["Licence", model.licence]]);
}

function collectionSheet(entry) {
  if (entry.state !== "ready") return sheet(entry.name, entry.state, entry.error, []);
  const { index } = entry;
  const recall = index.recall_at_10 && Object.entries(index.recall_at_10).map(([kind, value]) => `${kind} ${value.toFixed(3)}`).join(", ");
  const { building } = index;
  return sheet(entry.name, entry.state, index.problem, [
    ["Items", count(entry.items)], ["Encoder", entry.encoder], ["Index", index.kind],
    ["Recall at 10", recall ?? "exact: every vector is compared"],
    index.p50_milliseconds && ["Search", `${index.p50_milliseconds.toFixed(2)} ms (median)`],
    ["On disk", bytes(entry.disk_bytes)],
    building && ["Building", h("span", {}, `${building.kind} `, h("progress", { max: building.rows_total, value: building.rows_done, ariaLabel: `Building the index of ${entry.name}` }))]]);
}
