// One field of the form: what a person writes there, and what is sent for it.

import { fill, make, newId } from "./dom.js";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const MOST_OPTIONS = 200;
const KINDS = { number: "number", integer: "whole number", boolean: "true or false", string: "text", datetime: "date and time" };

/**
 * Return a field for a column (as /metadata has it): `element` to show, `read` for the JSON that is sent, undefined where nothing
 * is, `write` to fill a value in, and `complain` to say what is wrong with it.
 */
export function makeField(column, { label = column.name, hint = KINDS[column.kind], isShort = false } = {}) {
  const control = controlOf(column);
  const { input } = control;
  input.id = newId("field");
  const error = make("p", { class: "error", id: newId("error") });
  input.setAttribute("aria-describedby", error.id);
  const element = make(
    "div",
    { class: isShort ? "field short" : "field" },
    make("label", { for: input.id }, make("span", { class: "column-name" }, label), hint && make("span", { class: "kind" }, ` ${hint}`)),
    input,
    control.beside,
    error,
  );
  return {
    element,
    input,
    read: control.read,
    write: control.write,
    complain(text) {
      error.textContent = text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

/** Return a field of several lines that holds JSON, or a text. */
export function makeArea({ label, hint, isJson, rows }) {
  const id = newId("field");
  const error = make("p", { class: "error", id: newId("error") });
  const note = make("p", { class: "hint", id: newId("hint") }, hint);
  const input = make("textarea", {
    id,
    rows,
    class: isJson ? "code" : null,
    spellcheck: isJson ? "false" : null,
    autocomplete: "off",
    autocapitalize: isJson ? "off" : null,
    "aria-describedby": `${note.id} ${error.id}`,
  });
  return {
    element: make("div", { class: "field" }, make("label", { for: id }, label), input, hint ? note : null, error),
    input,
    read: () => (isJson ? input.value : JSON.stringify(input.value)),
    write: (value) => {
      input.value = isJson ? value : (value ?? "");
    },
    complain(text) {
      error.textContent = text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

function controlOf(column) {
  const isClosed = column.dtype.startsWith("category") && column.categories.length > 0;
  if (isClosed && column.categories.length <= MOST_OPTIONS) return choiceOf(column, column.categories.map((each) => [String(each), each]));
  if (column.kind === "boolean") return choiceOf(column, [["true", true], ["false", false]]);
  return lineOf(column);
}

/** One of a few values. */
function choiceOf(column, options) {
  const all = column.nullable ? [...options, ["missing", null]] : options;
  const input = make("select", {}, ...all.map(([text], index) => make("option", { value: index }, text)));
  return {
    input,
    read: () => JSON.stringify(all[input.value]?.[1] ?? null),
    write(value) {
      const index = all.findIndex(([, each]) => each === value);
      input.value = String(index === -1 ? 0 : index);
    },
  };
}

/** A line of text; known categories are suggestions. */
function lineOf(column) {
  const isNumber = column.kind === "number" || column.kind === "integer";
  const suggestions = column.categories.length ? make("datalist", { id: newId("known") }) : null;
  if (suggestions) fill(suggestions, ...column.categories.slice(0, MOST_OPTIONS).map((each) => make("option", { value: String(each) })));
  const input = make("input", {
    type: "text",
    inputmode: isNumber ? "decimal" : null,
    list: suggestions?.id,
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: column.nullable && !column.optional ? "missing" : column.kind === "datetime" ? "2024-12-31T23:59:59" : null,
  });
  let wasText = true; // What the example had: of a column of anything, a number that is written stays one.
  return {
    input,
    beside: suggestions,
    read() {
      const text = input.value;
      if (text === "" && (column.optional || column.nullable || column.kind !== "string")) return column.optional ? undefined : "null";
      if (isNumber) return numberOf(text) ?? JSON.stringify(text); // The service says what is wrong with it.
      if (column.kind !== "any") return JSON.stringify(text);
      const known = column.categories.find((each) => String(each) === text);
      if (known !== undefined) return JSON.stringify(known);
      return (wasText ? null : numberOf(text)) ?? JSON.stringify(text);
    },
    write(value) {
      wasText = typeof value === "string";
      input.value = value === null || value === undefined ? "" : String(value);
    },
  };
}

/** Return the JSON of a number, digit by digit as it is written, since JavaScript's own numbers end at 2^53. */
function numberOf(text) {
  const trimmed = text.trim();
  if (JSON_NUMBER.test(trimmed)) return trimmed;
  return NUMBER.test(trimmed) ? String(Number(trimmed)) : null;
}
