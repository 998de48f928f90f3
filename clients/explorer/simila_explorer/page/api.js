// The server's public routes. A key, where one is asked for, stays in this tab's session.

const KEY = "simila-key";

export class ApiError extends Error {
  constructor(status, detail, retryAfterSeconds) {
    super(detail.message);
    Object.assign(this, { status, code: detail.code, param: detail.param, retryAfterSeconds });
  }
}

let keyDialog = null;

/** What asks a person for a key, and resolves to false when they would rather not. */
export function askForKeysWith(ask) {
  keyDialog = ask;
}

export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** The key that goes with each request; null where none was asked for. Code that is shown names it and does not tell it. */
export const sentKey = () => sessionStorage.getItem(KEY);

export const get = (path, options) => json("GET", path, undefined, options);
export const post = (path, body, options) => json("POST", path, body, options);
export const put = (path, body) => json("PUT", path, body);
export const del = (path) => json("DELETE", path);

/** A path of names that may hold anything. */
export function collectionPath(name, ...rest) {
  return ["/v1/collections", encodeURIComponent(name), ...rest].join("/");
}

/** An item's id may contain slashes, which separate nothing. */
export const idPath = (id) => id.split("/").map(encodeURIComponent).join("/");

async function json(method, path, body, options) {
  const response = await call(method, path, body, options);
  return response.status === 204 ? null : response.json();
}

export async function call(method, path, body, { signal } = {}) {
  for (;;) {
    const key = sentKey();
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    if (body !== undefined) headers["content-type"] = "application/json";
    const content = body === undefined ? undefined : JSON.stringify(body);
    const response = await answer(path, { method, headers, body: content, signal });
    if (response.status === 401 && keyDialog && (await keyDialog(Boolean(key)))) continue;
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

async function answer(path, request) {
  try {
    return await fetch(path, request);
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
