/** A thin client for Simila, over `fetch`. The types of requests and answers are generated from the server's OpenAPI. */

import type { components } from "./api.d.ts";
import { SimilaError, waitMilliseconds } from "./errors.ts";

export { SimilaError } from "./errors.ts";

export type Schemas = components["schemas"];

/** A text, or the bytes of an encoded image. */
export type Input = string | Uint8Array;

export interface Options {
  apiKey?: string;
  timeoutMilliseconds?: number;
  /** How often a request is sent again that the server was too busy for. */
  maxRetries?: number;
  fetch?: typeof globalThis.fetch;
}

export interface EmbedOptions {
  model: string;
  dimensions?: number;
  truncate?: boolean;
  task?: Schemas["EmbeddingsRequest"]["task"];
}

type Given<Body, Required extends keyof Body> = Pick<Body, Required> & Partial<Omit<Body, Required>>;

type Having<Body, Field extends keyof Body> = Body & { [Name in Field]-?: NonNullable<Body[Name]> };

const OCTETS = "application/octet-stream";

/** A connection to one server. Every method may throw a `SimilaError`; what `fetch` throws passes through. */
export class Simila {
  readonly #baseUrl: string;
  readonly #options: Required<Omit<Options, "apiKey">> & Pick<Options, "apiKey">;

  constructor(baseUrl = "http://127.0.0.1:8000", options: Options = {}) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#options = { timeoutMilliseconds: 60_000, maxRetries: 4, fetch: globalThis.fetch, ...options };
  }

  /** Vectors of unit length, in the order of the inputs. */
  async embed(inputs: Input[], { model, ...options }: EmbedOptions): Promise<Float32Array[]> {
    const body = { model, input: inputs.map(asItem), ...options };
    const answer = await this.#send("POST", "/v1/embeddings", body, OCTETS);
    const dimensions = Number(answer.headers.get("x-embedding-dimensions"));
    const values = new Float32Array(await answer.arrayBuffer());
    return inputs.map((_, row) => values.subarray(row * dimensions, (row + 1) * dimensions));
  }

  /** Which of `labels` each input is, by the encoder `model`; or which of a trained classifier's classes. */
  classify(inputs: Input[], options: Omit<Given<Schemas["ClassifyRequest"], never>, "input">): Promise<Schemas["ClassifyResponse"]> {
    return this.request("POST", "/v1/classify", { input: inputs.map(asItem), ...options });
  }

  /** The encoders that the server knows. */
  async models(): Promise<Schemas["ModelEntry"][]> {
    return (await this.request<Schemas["ListBody_ModelEntry_"]>("GET", "/v1/models")).data;
  }

  /** Create a collection, or return the one that is there with the same encoder. */
  createCollection(name: string, options: Given<Schemas["CreateCollectionRequest"], "encoder">): Promise<Schemas["CollectionEntry"]> {
    return this.request("PUT", collectionPath(name), options);
  }

  /** Delete a collection with all its items. */
  deleteCollection(name: string): Promise<void> {
    return this.request("DELETE", collectionPath(name));
  }

  /** Store items, all or none; then they are durable and can be found. */
  upsert(name: string, items: Schemas["UpsertRequest"]["items"]): Promise<Schemas["UpsertResponse"]> {
    return this.request("POST", `${collectionPath(name)}/items`, { items });
  }

  /** The items most like a text, an image, a vector or a stored item, best first: `results`, or `groups` by `group_by`. */
  search<Query extends Given<Schemas["SearchRequest"], never>>(
    name: string,
    query: Query,
  ): Promise<Having<Schemas["SearchResponse"], Query extends { group_by: string } ? "groups" : "results">> {
    return this.request("POST", `${collectionPath(name)}/search`, query);
  }

  /** Any other route: `path` begins with a slash, and the answer is JSON. */
  async request<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = await (await this.#send(method, path, body, "application/json")).text();
    return (text ? JSON.parse(text) : undefined) as Answer;
  }

  async #send(method: string, path: string, body: unknown, accept: string): Promise<Response> {
    const { apiKey, fetch, maxRetries, timeoutMilliseconds } = this.#options;
    const headers: Record<string, string> = { accept };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (apiKey) headers["authorization"] = `Bearer ${apiKey}`;
    const content = body === undefined ? null : JSON.stringify(body);
    for (let failures = 1; ; failures++) {
      const signal = AbortSignal.timeout(timeoutMilliseconds);
      const answer = await fetch(this.#baseUrl + path, { method, headers, body: content, signal });
      if (answer.ok) return answer;
      const error = await SimilaError.of(answer);
      const milliseconds = waitMilliseconds(error, failures);
      if (failures > maxRetries || milliseconds === undefined) throw error;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
  }
}

function asItem(input: Input): Schemas["TextItem"] | Schemas["ImageItem"] {
  return typeof input === "string" ? { text: input } : { image: base64(input) };
}

function base64(bytes: Uint8Array): string {
  let characters = "";
  // The arguments of one call are limited.
  for (let start = 0; start < bytes.length; start += 8192) {
    characters += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(characters);
}

function collectionPath(name: string): string {
  if (!name || name === "." || name === ".." || name.includes("/")) throw new TypeError(`'${name}' is no name of a collection`);
  return `/v1/collections/${encodeURIComponent(name)}`;
}
