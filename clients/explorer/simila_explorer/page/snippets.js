// The request at hand, as curl, Python and TypeScript would send it.

import { sentKey } from "./api.js";
import { announce, h } from "./dom.js";

const SHORTENED = /"(data:image\/[\w.+-]+;base64,)[^"]{40,}"/g;

/** Buttons that copy, and a view of what they copy; pictures are shortened in the view alone. */
export function snippets(path, body) {
  const texts = { curl: curl(path, body), Python: python(path, body), TypeScript: typescript(path, body) };
  const shown = h("pre", { tabIndex: 0, ariaLabel: "The request as code" });
  const said = h("span", { className: "said" });
  const show = (name) => (shown.textContent = texts[name].replace(SHORTENED, '"$1…"'));
  show("curl");
  const buttons = Object.keys(texts).map((name) =>
    h("button", { type: "button", className: "quiet", onclick: async () => {
      show(name);
      said.textContent = (await copied(texts[name])) ? `${name} copied` : "Select and copy it below";
      announce(said.textContent);
    } }, `Copy as ${name}`));
  return h("details", { className: "snippets" }, h("summary", {}, "The same request as code"), h("div", { className: "row" }, buttons, said), shown);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A here-document, because a picture is longer than an argument may be; its mark stands alone on no line of JSON. */
export function curl(path, body) {
  const key = sentKey() ? ` -H "authorization: Bearer $SIMILA_API_KEY"` : "";
  return `curl -s ${location.origin}${path} -H 'content-type: application/json'${key} --data-binary @- <<'END'
${JSON.stringify(body, null, 2)}
END`;
}

function python(path, body) {
  const key = sentKey() ? `, headers={"authorization": f"Bearer {os.environ['SIMILA_API_KEY']}"}` : "";
  return `import json
${key ? "import os\n" : ""}import httpx

body = json.loads(r"""${JSON.stringify(body, null, 2)}""")
answer = httpx.post("${location.origin}${path}", json=body${key}, timeout=30)
print(answer.raise_for_status().json())`;
}

function typescript(path, body) {
  const key = sentKey() ? ", authorization: `Bearer ${process.env.SIMILA_API_KEY}`" : "";
  return `const body = ${JSON.stringify(body, null, 2)};
const answer = await fetch("${location.origin}${path}", {
  method: "POST",
  headers: { "content-type": "application/json"${key} },
  body: JSON.stringify(body),
});
console.log(await answer.json());`;
}
