// What the service has counted: asked for again and again while somebody looks.

import { makeBars } from "./bars.js";
import { fill, make } from "./dom.js";
import { parse } from "./prometheus.js";
import { milliseconds, numberText } from "./result.js";
import { ask } from "./service.js";

const EVERY_MS = 5000;
const OUTLIERS = { 1: "inlier (1)", "-1": "outlier (−1)" };

/** Show the counts in `place`, and in `note` when there are none; return what shows them anew at once. */
export function watchCounts(place, note) {
  let timer = null;
  let shown = "";
  const show = async () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    try {
      const text = await (await ask("metrics", { quietly: true })).text();
      if (text !== shown) fill(place, ...partsOf(parse(text))); // Else nothing moves under whoever reads.
      shown = text;
      note.textContent = "";
    } catch {
      // Whoever comes back to this page, or predicts, asks once more.
      note.textContent = shown ? "These counts are old: the service didn't answer." : "The service gives no counts to this page.";
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(show, EVERY_MS);
  };
  document.addEventListener("visibilitychange", show);
  show();
  return show;
}

function partsOf(samples) {
  const information = [...samples.keys()].find((name) => name.endsWith("_model_info"));
  const prefix = information === undefined ? "nachlass" : information.slice(0, -"_model_info".length);
  const of = (name) => samples.get(`${prefix}_${name}`) ?? [];
  const task = samples.get(information)?.[0].labels.task;
  return [requestsOf(of), predictionsOf(of, task)];
}

function requestsOf(of) {
  const byStatus = new Map();
  for (const { labels, value } of of("requests_total")) byStatus.set(labels.status, (byStatus.get(labels.status) ?? 0) + value);
  const count = sumOf(of("request_seconds_count"));
  const mean = count ? milliseconds(sumOf(of("request_seconds_sum")) / count) : "–";
  const entries = [...byStatus].sort(([one], [other]) => one.localeCompare(other));
  return make(
    "dl",
    { class: "figures" },
    ...(entries.length ? entries : [["200", 0]]).map(([status, value]) => figureOf(statusText(status), value.toLocaleString("en"))),
    figureOf("mean time", mean),
  );
}

function statusText(status) {
  if (status === "200") return "answered";
  return `${status.startsWith("5") ? "failed" : "refused"}, ${status}`;
}

function figureOf(name, value) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value));
}

function sumOf(samples) {
  return samples.reduce((sum, { value }) => sum + value, 0);
}

function predictionsOf(of, task) {
  const byClass = of("predictions_total");
  if (byClass.length) return classesOf(byClass, task);
  const buckets = of("predictions_bucket");
  return buckets.length ? rangesOf(buckets, sumOf(of("predictions_sum")), sumOf(of("predictions_count"))) : null;
}

function classesOf(samples, task) {
  const labelOf = (value) => (task === "outlier_detector" ? OUTLIERS[value] : undefined) ?? value;
  const most = Math.max(1, ...samples.map(({ value }) => value));
  const items = samples
    .filter(({ labels, value }) => value > 0 || labels.value !== "other")
    .sort((one, other) => other.value - one.value)
    .map(({ labels, value }) => ({ label: labelOf(labels.value), share: value / most, text: value.toLocaleString("en") }));
  return make("div", {}, make("h3", {}, "Predictions by class"), makeBars(items, { more: "classes" }));
}

function rangesOf(samples, sum, count) {
  const bounds = samples.map(({ labels, value }) => ({ high: labels.le === "+Inf" ? Infinity : Number(labels.le), value }));
  bounds.sort((one, other) => one.high - other.high);
  const ranges = bounds.map(({ high, value }, i) => ({ low: i ? bounds[i - 1].high : -Infinity, high, value: value - (i ? bounds[i - 1].value : 0) }));
  const first = ranges.findIndex(({ value }) => value > 0);
  const title = make("h3", {}, "Predicted values");
  if (first === -1) return make("div", {}, title, make("p", { class: "hint" }, "None so far."));
  const last = ranges.findLastIndex(({ value }) => value > 0);
  const seen = ranges.slice(first, last + 1);
  const most = Math.max(...seen.map(({ value }) => value));
  const items = seen.map(({ low, high, value }) => ({ label: rangeText(low, high), share: value / most, text: value.toLocaleString("en") }));
  return make("div", {}, title, makeBars(items, { most: 40 }), make("p", { class: "hint" }, `mean ${numberText(sum / count)}`));
}

function rangeText(low, high) {
  if (high === Infinity) return `over ${numberText(low)}`;
  return low === -Infinity ? `up to ${numberText(high)}` : `${numberText(low)} to ${numberText(high)}`;
}
