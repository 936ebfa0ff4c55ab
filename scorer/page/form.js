// The two ways to give the input: a form made from the schema, and rows as JSON.

import { make } from "./dom.js";
import { makeArea, makeField } from "./fields.js";

const MOST_FIELDS = 100;

/**
 * Return the form for one row: `panel` to show, `rows` for the JSON of a request, `complain` to show a Refusal beside what it is
 * about (false if that is nowhere), `fields` of it.
 */
export function makeForm(metadata, { submit, changed }) {
  const { input, example } = metadata;
  const parts = partsOf(input, example);
  const fields = [...parts.byKey.values()];
  const note = metadata.example_is_real ? "The example is a row that the author chose to show." : "The example is made up.";
  const reset = make("button", { type: "button", class: "quiet", onclick: () => restore() }, "Put the example back");
  const panel = frameOf([...parts.elements, make("p", { class: "hint" }, note)], { submit, changed, beside: reset });
  const restore = () => {
    parts.restore();
    clear(fields);
    changed();
  };
  parts.restore();
  return {
    panel,
    rows: parts.rows,
    clear: () => clear(fields),
    complain(refusal) {
      const path = pathOf(refusal.pointer);
      const field = parts.byKey.get(path?.[1]) ?? (fields.length === 1 ? fields[0] : undefined);
      if (path === null || field === undefined) return false;
      field.complain(refusal.message);
      field.input.closest("details")?.setAttribute("open", "");
      field.input.focus();
      return true;
    },
  };
}

/** Return the field for rows in any spelling that /predict takes, with what `makeForm` returns. */
export function makeRows(metadata, { submit, changed }) {
  const area = makeArea({
    label: "Rows",
    hint: "As POST predict takes them: a list of rows, one row, or columns.",
    isJson: true,
    rows: 8,
  });
  area.write(metadata.example === null ? "[]" : JSON.stringify([metadata.example], null, 2));
  const panel = frameOf([area.element], { submit, changed });
  return {
    panel,
    rows: area.read,
    clear: () => clear([area]),
    complain(refusal) {
      if (refusal.status >= 500 || refusal.status === 0) return false;
      const place = refusal.pointer ? ` (at ${refusal.pointer})` : "";
      area.complain(refusal.message + place);
      area.input.focus();
      return true;
    },
  };
}

function clear(fields) {
  for (const field of fields) field.complain("");
}

function frameOf(elements, { submit, changed, beside = null }) {
  const form = make("form", { novalidate: true }, ...elements, make("div", { class: "actions" }, make("button", { type: "submit" }, "Predict"), beside));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("input", changed);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  });
  return make("div", {}, form);
}

function partsOf(input, example) {
  if (input.kind === "text") return partsOfText(example);
  const used = input.columns.filter((column) => !column.optional);
  const count = input.kind === "array" ? input.width : used.length;
  if (count > MOST_FIELDS) return partsOfManyColumns(count, example);
  return input.kind === "array" ? partsOfArray(input, example) : partsOfFrame(used, input.columns.filter((each) => each.optional), example);
}

function partsOfText(example) {
  const area = makeArea({ label: "Text", isJson: false, rows: 5 });
  return {
    elements: [area.element],
    byKey: new Map([[undefined, area]]),
    rows: () => `[${area.read()}]`,
    restore: () => area.write(example),
  };
}

function partsOfManyColumns(count, example) {
  const area = makeArea({ label: "One row", hint: `The model takes ${count.toLocaleString("en")} columns: as JSON.`, isJson: true, rows: 8 });
  return {
    elements: [area.element],
    byKey: new Map([[undefined, area]]),
    rows: () => `[${area.read()}]`,
    restore: () => area.write(JSON.stringify(example)),
  };
}

function partsOfArray(input, example) {
  const column = { name: "", kind: kindOf(input.dtype), optional: false, nullable: true, dtype: input.dtype, categories: [] };
  if (column.kind === "boolean" || column.kind === "integer" || column.kind === "string") column.nullable = false;
  const fields = Array.from({ length: input.width }, (_, i) => makeField(column, { label: String(i), hint: null, isShort: true }));
  const grid = make(
    "fieldset",
    { class: "grid compact" },
    make("legend", {}, input.width === 1 ? "One value" : `${input.width} values, by position`),
    ...fields.map(({ element }) => element),
  );
  return {
    elements: [grid],
    byKey: new Map(fields.map((field, i) => [String(i), field])),
    rows: () => `[[${fields.map((field) => field.read()).join(", ")}]]`,
    restore: () => fields.forEach((field, i) => field.write(example?.[i])),
  };
}

/** Return what a cell of an array of this numpy dtype is. */
function kindOf(dtype) {
  if (/^float/.test(dtype) || dtype === "") return "number";
  if (/^u?int/.test(dtype)) return "integer";
  if (/^bool/.test(dtype)) return "boolean";
  return /^(?:str|<?U)/.test(dtype) ? "string" : "any";
}

function partsOfFrame(used, unused, example) {
  const byKey = new Map([...used, ...unused].map((column) => [column.name, makeField(column)]));
  const elementsOf = (columns) => columns.map((column) => byKey.get(column.name).element);
  const folded = make(
    "details",
    { class: "unused" },
    make("summary", {}, `${unused.length} column${unused.length === 1 ? "" : "s"} that the model doesn't use`),
    make("div", { class: "grid" }, ...elementsOf(unused)),
  );
  return {
    elements: [make("div", { class: "grid" }, ...elementsOf(used)), unused.length ? folded : null],
    byKey,
    rows() {
      const cells = [...byKey].map(([name, field]) => [name, field.read()]).filter(([, cell]) => cell !== undefined);
      return `[{${cells.map(([name, cell]) => `${JSON.stringify(name)}: ${cell}`).join(", ")}}]`;
    },
    restore() {
      for (const [name, field] of byKey) field.write(example?.[name]);
    },
  };
}

/** Return the parts of a JSON pointer (RFC 6901), null where there is none. */
function pathOf(pointer) {
  if (typeof pointer !== "string") return null;
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
