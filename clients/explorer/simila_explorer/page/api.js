// The server's public routes. A key, where one is asked for, stays in this tab's session.

const KEY = "simila-key";

export class ApiError extends Error {
  constructor(status, detail, retryAfterSeconds) {
    super(detail.message);
    Object.assign(this, { status, code: detail.code, param: detail.param, retryAfterSeconds });
  }
}

let keyDialog = null;

/** What asks a person for a key, told whether the last one was wrong, and resolves to false when they would rather not. */
export function askForKeysWith(ask) {
  keyDialog = ask;
}

/** For who holds a key that is not enough. */
export const askForAnotherKey = () => keyDialog(false);

export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** The key that goes with each request; null where none was asked for. Code that is shown names it and does not tell it. */
export const sentKey = () => sessionStorage.getItem(KEY);

export const get = (path, options) => json("GET", path, undefined, options);
export const post = (path, body, options) => json("POST", path, body, options);
export const put = (path, body) => json("PUT", path, body);

/** A path of names that may hold anything. */
export function collectionPath(name, ...rest) {
  return ["/v1/collections", encodeURIComponent(name), ...rest].join("/");
}

/** An item's id may contain slashes, which separate nothing. */
export const idPath = (id) => id.split("/").map(encodeURIComponent).join("/");

async function json(method, path, body, options) {
  const response = await call(method, path, body, options);
  return reached(() => response.json());
}

/** The answer to a request. `signal` gives it up; `asks: false` is for what nobody waits for, and asks for no key; `cache` is fetch's. */
export async function call(method, path, body, { signal, cache, asks = true } = {}) {
  for (;;) {
    const key = sentKey();
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    if (body !== undefined) headers["content-type"] = "application/json";
    const content = body === undefined ? undefined : JSON.stringify(body);
    const response = await reached(() => fetch(path, { method, headers, body: content, signal, cache }));
    if (response.status === 401) {
      if (sentKey() !== key) continue; // it was asked for, and given, meanwhile
      if (asks && (await keyDialog(Boolean(key)))) continue;
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

/** What a server that goes away amid its answer sends is as good as none. */
async function reached(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The server does not answer.", code: "unreachable", param: null });
  }
}

async function errorOf(response) {
  const retry = Number(response.headers.get("retry-after")) || null;
  let detail = { message: `The server answered with status ${response.status}.`, code: "unknown", param: null };
  try {
    detail = (await response.json()).error ?? detail;
  } catch {
    // A proxy's answer has no words of the server's.
  }
  return new ApiError(response.status, detail, retry);
}
