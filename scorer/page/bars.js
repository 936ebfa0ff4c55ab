// Amounts beside each other: each with its text, so that nobody needs to see the bar.

import { make } from "./dom.js";

/** Return a list of `{label, share, text, isFirst}`, shares of 1 being as long as there is room, and how many more there are. */
export function makeBars(items, { most = 12, more = "more" } = {}) {
  const list = make("ul", { class: "bars" }, ...items.slice(0, most).map(barOf));
  const left = items.length - most;
  return make("div", {}, list, left > 0 ? make("p", { class: "hint" }, `and ${left.toLocaleString("en")} ${more}`) : null);
}

function barOf({ label, share, text, isFirst = false }) {
  const filled = make("span", { class: "filled" });
  filled.style.inlineSize = `${Math.min(Math.max(share, 0), 1) * 100}%`; // By the object model: the policy forbids style attributes.
  return make(
    "li",
    { class: isFirst ? "first" : null },
    make("span", { class: "label" }, label),
    make("span", { class: "amount" }, text),
    make("span", { class: "bar", "aria-hidden": "true" }, filled),
  );
}
