// The pipeline as boxes: steps from top to bottom, branches side by side.

import { make } from "./dom.js";

const NAMES = { sequence: "One after the other", parallel: "Side by side", inside: "Inside" };
const INPUTS = { text: "texts", array: "arrays of", frame: "rows of" };

/** Return the whole picture; steps at its top are the stages, which have notebooks. */
export function makeDiagram({ pipeline, stages, input, task, classes }) {
  const width = input.kind === "frame" ? input.columns.filter((column) => !column.optional).length : input.width;
  const taken = input.kind === "text" ? INPUTS.text : `${INPUTS[input.kind]} ${width.toLocaleString("en")} ${nounOf(input, width)}`;
  const children = pipeline.children ?? [];
  return make(
    "div",
    { class: "diagram" },
    make("p", { class: "end" }, taken),
    make("ol", { class: "sequence", "aria-label": NAMES.sequence }, ...children.map((child, i) => stepOf(child, stages[i]?.notebook)), moreOf(pipeline)),
    make("p", { class: "end" }, madeOf(task, classes)),
  );
}

function nounOf(input, width) {
  const noun = input.kind === "frame" ? "column" : "value";
  return width === 1 ? noun : `${noun}s`;
}

function madeOf(task, classes) {
  if (task === "regressor") return "a number";
  if (task === "outlier_detector") return "inlier or outlier";
  if (task === "classifier" && classes.length) return classes.length === 1 ? "one class" : `one of ${classes.length.toLocaleString("en")} classes`;
  return "a prediction";
}

function stepOf(node, notebook = null) {
  const name = notebook ?? nameOf(node);
  return make(
    "li",
    {},
    make(
      "div",
      { class: node.module ? "box" : "box plain" },
      make("p", { class: "title", title: node.module ? `${node.module}.${node.class}` : null }, make("strong", {}, ...breakable(node.class)), name ? make("span", { class: "step" }, name) : null),
      columnsOf(node),
      parametersOf(node),
      childrenOf(node),
    ),
  );
}

/** Return a step's name, unless it says nothing: as make_pipeline gives it, or that of the only column. */
function nameOf({ name = null, class: kind, columns = [] }) {
  const isTold = name?.replace(/-\d+$/, "") === kind.toLowerCase() || (columns.length === 1 && columns[0] === name);
  return isTold ? null : name;
}

/** Return a name that may be broken between its words where a box is narrow. */
function breakable(name) {
  return name.split(/(?<=[a-z0-9])(?=[A-Z])/).flatMap((word, i) => (i ? [make("wbr"), word] : [word]));
}

function columnsOf({ columns, more_columns: more }) {
  if (!columns) return null;
  return make("p", { class: "columns" }, columns.join(", "), more ? ` and ${more.toLocaleString("en")} more` : null);
}

function parametersOf({ parameters }) {
  if (!parameters) return null;
  const entries = Object.entries(parameters);
  return make(
    "details",
    {},
    make("summary", {}, `${entries.length} parameter${entries.length === 1 ? "" : "s"}`),
    make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  );
}

function childrenOf(node) {
  if (!node.children) return moreOf(node, "p");
  const list = node.arrangement === "sequence" ? "ol" : "ul";
  return make(list, { class: node.arrangement, "aria-label": NAMES[node.arrangement] }, ...node.children.map((child) => stepOf(child)), moreOf(node));
}

function moreOf({ more_children: more }, tag = "li") {
  return more ? make(tag, { class: "hint" }, `and ${more.toLocaleString("en")} more`) : null;
}
