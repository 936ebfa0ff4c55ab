// The same question from a shell and from Python: with the address of this service and the rows of the moment.

import { fill, make, makeTabs } from "./dom.js";
import { addressOf, hasToken } from "./service.js";

const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g;
const WORDS = { true: "True", false: "False", null: "None" };
const SHOWN_MS = 2000;

/** Show the snippets; return the function that renews them for other rows (JSON). */
export function makeSnippets(list, place, { path }) {
  const writers = [
    ["curl", curlOf],
    ["curl, form", formOf],
    ["Python", pythonOf],
  ];
  const parts = writers.map(([label, write]) => ({ label, write, ...blockOf(label) }));
  makeTabs(list, place, parts);
  return (rows) => {
    if (!isJson(rows)) return; // What was shown last still works.
    for (const { code, write } of parts) code.textContent = write(rows, addressOf(path), hasToken());
  };
}

function blockOf(label) {
  const code = make("code");
  const said = make("span", { class: "hint", role: "status" });
  const button = make("button", { type: "button", class: "quiet", "aria-label": `Copy the snippet for ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    said.textContent = (await copy(code)) ? "Copied" : "Select it, and copy it with the keyboard";
    setTimeout(() => fill(said), SHOWN_MS);
  });
  const block = make("pre", { tabindex: 0, role: "region", "aria-label": `Snippet for ${label}` }, code);
  return { code, panel: make("div", {}, block, make("div", { class: "actions" }, button, said)) };
}

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // Without https, or where it isn't allowed.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function curlOf(rows, url, isSecured) {
  return lines([
    "curl -H 'Content-Type: application/json'",
    ...(isSecured ? ['-H "Authorization: Bearer $NACHLASS_TOKEN"'] : []),
    `-d ${quoted(rows)}`,
    quoted(url),
  ]);
}

function formOf(rows, url, isSecured) {
  const secured = isSecured ? ['curl -H "Authorization: Bearer $NACHLASS_TOKEN"', "--data-urlencode"] : ["curl --data-urlencode"];
  return lines([...secured.slice(0, -1), `${secured.at(-1)} ${quoted(`json_args=${rows}`)}`, quoted(url)]);
}

function lines(words) {
  return words.join(" \\\n  ");
}

/** Quote for a POSIX shell. */
function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function pythonOf(rows, url, isSecured) {
  // JSON's strings are Python's, once each is written anew: without escapes that only JSON has.
  const literal = rows.replace(STRING_OR_WORD, (found) => WORDS[found] ?? JSON.stringify(JSON.parse(found)));
  const headers = isSecured ? 'headers = {"Authorization": f"Bearer {os.environ[\'NACHLASS_TOKEN\']}"}\n' : "";
  return (
    (isSecured ? "import os\n\n" : "") +
    `import requests\n\nrows = ${literal}\n${headers}` +
    `answer = requests.post(${JSON.stringify(url)}, json=rows${isSecured ? ", headers=headers" : ""}, timeout=60)\n` +
    "answer.raise_for_status()\nprint(answer.json())\n"
  );
}
