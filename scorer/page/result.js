// The answer of /predict.

import { makeBars } from "./bars.js";
import { make } from "./dom.js";

const MOST_ROWS = 200;
const MOST_CLASSES_OF_A_TABLE = 6;

/** Return what to show of an answer: a row large, several as a table. `rows` are predictions, or objects that hold one. */
export function makeResult(metadata, rows, { hasProbabilities, seconds }) {
  const answers = rows.map((row) => (hasProbabilities ? row : { prediction: row, probabilities: null }));
  const took = `${answers.length.toLocaleString("en")} row${answers.length === 1 ? "" : "s"} in ${milliseconds(seconds)}`;
  const shown = answers.length === 1 ? rowOf(metadata, answers[0]) : tableOf(metadata, answers);
  return make("div", { class: "answer" }, shown, make("p", { class: "hint took" }, took));
}

/** Return seconds as people read them. */
export function milliseconds(seconds) {
  const value = seconds * 1000;
  if (value >= 10_000) return `${(value / 1000).toLocaleString("en", { maximumFractionDigits: 1 })} s`;
  return `${value.toLocaleString("en", { maximumSignificantDigits: 2 })} ms`;
}

/** Return a number in at most seven digits. */
export function numberText(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e12 || size < 1e-4)) return value.toExponential(4);
  return value.toLocaleString("en", { maximumSignificantDigits: 7 });
}

function rowOf(metadata, { prediction, probabilities }) {
  if (Array.isArray(prediction)) {
    const terms = prediction.flatMap((each, i) => [make("dt", {}, `Output ${i}`), make("dd", {}, valueOf(metadata, each))]);
    return make("div", {}, make("dl", { class: "outputs" }, ...terms));
  }
  const exact = typeof prediction === "number" && metadata.task === "regressor" ? exactlyOf(prediction) : null;
  return make(
    "div",
    {},
    make("p", { class: "prediction" }, valueOf(metadata, prediction)),
    exact,
    isByClass(probabilities) ? makeBars(sharesOf(probabilities, prediction), { more: "classes" }) : null,
  );
}

function exactlyOf(value) {
  return numberText(value).replaceAll(",", "") === String(value) ? null : make("p", { class: "hint" }, `exactly ${value}`);
}

function valueOf(metadata, value) {
  if (value === null) return make("span", { class: "nothing" }, "null (no finite number)");
  if (metadata.task === "outlier_detector") return value === 1 ? "inlier (1)" : "outlier (−1)";
  return typeof value === "number" && metadata.task === "regressor" ? numberText(value) : labelText(value);
}

function labelText(value) {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}

function isByClass(probabilities) {
  return probabilities !== null && typeof probabilities === "object" && !Array.isArray(probabilities);
}

function sharesOf(probabilities, prediction) {
  return Object.entries(probabilities)
    .sort(([, one], [, other]) => (other ?? 0) - (one ?? 0))
    .map(([label, share]) => ({ label, share: share ?? 0, text: percent(share), isFirst: label === labelText(prediction) }));
}

function percent(share) {
  if (share === null) return "null";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toFixed(1)} %`;
}

function tableOf(metadata, answers) {
  const classes = isByClass(answers[0].probabilities) ? Object.keys(answers[0].probabilities) : [];
  const listed = classes.length <= MOST_CLASSES_OF_A_TABLE ? classes : [];
  const head = ["Row", "Prediction", ...listed, ...(classes.length > listed.length ? ["Its probability"] : [])];
  const body = answers.slice(0, MOST_ROWS).map(({ prediction, probabilities }, row) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, row),
      make("td", {}, Array.isArray(prediction) ? JSON.stringify(prediction) : valueOf(metadata, prediction)),
      ...listed.map((name) => make("td", { class: "number" }, percent(probabilities[name]))),
      ...(classes.length > listed.length ? [make("td", { class: "number" }, percent(probabilities[labelText(prediction)] ?? null))] : []),
    ),
  );
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", class: i > 1 ? "number" : null }, text)))),
    make("tbody", {}, ...body),
  );
  const left = answers.length - MOST_ROWS;
  return make(
    "div",
    {},
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Predictions" }, table),
    left > 0 ? make("p", { class: "hint" }, `and ${left.toLocaleString("en")} more rows`) : null,
  );
}
