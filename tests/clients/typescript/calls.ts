/** Calls of the client, for `test_typescript.py` to judge: prints one JSON object. */

import { readFileSync } from "node:fs";

import { Simila, SimilaError } from "../../../clients/typescript/src/index.ts";

const [url, picture] = process.argv.slice(2) as [string, string];
const simila = new Simila(url + "/");

async function failure(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    if (error instanceof SimilaError) return [error.status, error.code, error.param];
    throw error;
  }
  return "none";
}

async function busyOnce(): Promise<number> {
  let asked = 0;
  const fetch = async (...given: Parameters<typeof globalThis.fetch>) =>
    asked++ === 0 ? new Response('{"error": {"message": "busy"}}', { status: 429 }) : globalThis.fetch(...given);
  await new Simila(url, { fetch }).models();
  return asked;
}

const vectors = await simila.embed(["one", readFileSync(picture)], { model: "simila-lite" });
const classes = await simila.classify(["a red dress"], { model: "simila-lite", labels: ["clothes", "weather"] });
await simila.createCollection("typescript", { encoder: "all-minilm-l6-v2" });
await simila.upsert("typescript", [{ id: "1", text: "a red dress" }, { id: "2", text: "a blue sky", payload: { n: 2 } }]);
const { results } = await simila.search("typescript", { text: "the sky above", limit: 1 });
await simila.deleteCollection("typescript");

console.log(
  JSON.stringify({
    vectors: vectors.map((vector) => Array.from(vector)),
    label: classes.data[0]?.prediction,
    hit: results.map((hit) => [hit.id, hit.payload]),
    models: (await simila.models()).map((model) => model.id),
    unknown: await failure(simila.embed(["a"], { model: "none" })),
    key: await failure(simila.search("typescript", { text: "a" })),
    asked: await busyOnce(),
  }),
);
