// Classify: a picture or a text by names of classes alone, as the names are typed.

import { get, post } from "./api.js";
import { announce, field, h, percent, select, settled } from "./dom.js";
import { empty, showing, still } from "./notices.js";
import { dropZone } from "./pictures.js";
import { snippets } from "./snippets.js";

const LABELS = ["a cat", "a dog", "a cup of coffee", "a rocket launch", "a page of text"];
const TYPING_MILLISECONDS = 250;
const PATH = "/v1/classify";

export function classifyPanel() {
  const panel = h("section", { className: "panel split", ariaLabel: "Classify" });
  const read = () => showing(panel, "Asking for the encoders …", async (signal) => {
    const models = (await get("/v1/models", { signal })).data.filter((model) => model.modalities.includes("text"));
    if (models.length) return classifier(models);
    return empty("No encoder reads labels", "Names of classes need an encoder with a text tower. Serve one, such as simila-lite.",
      h("button", { type: "button", onclick: read }, "Look again"));
  });
  read();
  return panel;
}

function classifier(models) {
  const state = { picture: null };
  const names = models.map((model) => model.id);
  const seesPictures = (name) => models.find((model) => model.id === name).modalities.includes("image");
  /** Familiarity is the best label's logit; people compare cosines. */
  const scoring = (name) => models.find((model) => model.id === name).zero_shot ?? { scale: 1, bias: 0 };
  const preferred = names.find(seesPictures) ?? names[0];
  const model = select(names, { value: preferred });
  const other = select([["", "none"], ...names.map((name) => [name, name])]);
  const text = h("textarea", { rows: 2, placeholder: "or type a text …" });
  const labels = h("textarea", { rows: 6, value: LABELS.join("\n"), spellcheck: false });
  const templates = h("textarea", { rows: 2, placeholder: "the encoder's own, e.g. a photo of {}", spellcheck: false });
  const rejects = h("input", { type: "checkbox" });
  const threshold = h("input", { type: "range", min: -0.2, max: 0.6, step: 0.01, value: 0.2 });
  const thresholdSays = h("output", {});
  const preview = h("div", { className: "preview" });
  const results = h("div", { className: "results", ariaLive: "off" });

  const lines = (area) => area.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const body = (name) => {
    const asked = { model: name, input: [state.picture ? { image: state.picture.uri } : { text: text.value }], labels: lines(labels) };
    if (lines(templates).length) asked.templates = lines(templates);
    if (rejects.checked) {
      const { scale, bias } = scoring(name);
      asked.unknown = { threshold: Number(threshold.value) * scale + bias };
    }
    return asked;
  };
  const update = () => {
    thresholdSays.value = rejects.checked ? Number(threshold.value).toFixed(2) : "off";
    threshold.disabled = !rejects.checked;
    if (!state.picture && !text.value.trim()) {
      return still(results, empty("Nothing to classify yet", "Drop a picture or type a text, then change the labels and watch the bars."));
    }
    if (lines(labels).length < 2) return still(results, empty("Two labels at least", "Write one a line; any words will do."));
    const chosen = [model.value, other.value].filter((name, at, all) => name && all.indexOf(name) === at);
    return showing(results, "Classifying …", async (signal) => {
      const columns = await Promise.all(chosen.map((name) => judged(name, body(name), state.picture && !seesPictures(name), signal)));
      return [h("div", { className: "columns" }, columns), snippets(PATH, body(model.value))];
    });
  };
  /** What was given last is classified. */
  const take = (picture) => {
    state.picture = picture;
    if (picture) text.value = "";
    preview.replaceChildren(...(picture ? [
      h("img", { src: picture.uri, alt: picture.name }),
      h("button", { type: "button", className: "quiet", onclick: () => take(null) }, "Remove the picture"),
    ] : []));
    update();
  };
  text.addEventListener("input", () => state.picture && text.value.trim() && take(null));
  const later = settled(TYPING_MILLISECONDS, update);
  for (const control of [text, labels, templates, threshold]) control.addEventListener("input", later);
  for (const control of [model, other, rejects]) control.addEventListener("change", update);
  update();

  return [
    h("form", { className: "controls", onsubmit: (event) => event.preventDefault() },
      h("h2", {}, "Classify"),
      h("p", { className: "lead" }, "Any picture or text, by any names. Nothing is trained."),
      dropZone(take), preview, field("Text", text),
      field("Labels, one a line", labels),
      h("div", { className: "pair late" }, field("Encoder", model), field("Compare with", other)),
      h("div", { className: "late" }, field("Prompts, one a line", templates, "{} is where the label goes")),
      h("fieldset", { className: "late" }, h("legend", {}, "The unknown"),
        h("label", { className: "check" }, rejects, "Reject what no label fits"),
        h("div", { className: "slider" }, field("Least cosine of the best label", threshold), thresholdSays))),
    results,
  ];
}

async function judged(name, body, isBlind, signal) {
  const heading = h("h3", {}, name);
  if (isBlind) return h("div", { className: "column" }, heading, empty("It reads no pictures", "This encoder embeds texts alone."));
  const began = performance.now();
  const [entry] = (await post(PATH, body, { signal })).data;
  const milliseconds = performance.now() - began;
  announce(entry.rejected ? `${name}: unknown` : `${name}: ${entry.predictions[0].label}, ${percent(entry.predictions[0].score)}`);
  return h("div", { className: "column" }, heading,
    h("p", { className: "figures" }, `${milliseconds.toFixed(0)} ms for one input`),
    entry.rejected && h("p", { className: "rejected" }, "Unknown: no label is familiar enough"),
    h("ol", { className: entry.rejected ? "bars dim" : "bars" }, entry.predictions.map(bar)));
}

function bar({ label, score, cosine }) {
  return h("li", {},
    h("span", { className: "name" }, label),
    h("span", { className: "value" }, percent(score)),
    h("span", { className: "track", ariaHidden: "true" }, h("span", { className: "fill", style: { "--share": score } })),
    h("span", { className: "cosine" }, `cosine ${cosine.toFixed(3)}`));
}
