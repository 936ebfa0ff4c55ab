// Elements. Text is only ever set as text: what comes from data can't become markup.

let ids = 0;

/** Return an id that no other element has. */
export function newId(stem) {
  ids += 1;
  return `${stem}-${ids}`;
}

/**
 * Return a new element. `attributes` that are null, undefined or false are left out, those that are true have no value, and
 * functions under "on…" listen; children are elements, or values that become text.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map(nodeOf));
  return element;
}

/** Put these in the place of all that is in the element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined).map(nodeOf));
}

function nodeOf(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** Return the element of the page's own with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Fill a list of tabs, and the place of their panels; the arrow keys, Home and End move between them (WAI-ARIA, tabs).
 * `tabs` are `{label, panel}`; `chosen` is called with the number of a tab that becomes the current one.
 */
export function makeTabs(list, place, tabs, chosen = () => {}) {
  const buttons = tabs.map(({ label, panel }, index) => {
    panel.id ||= newId("panel");
    const button = make("button", { type: "button", role: "tab", id: newId("tab"), "aria-controls": panel.id }, label);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    button.addEventListener("click", () => choose(index));
    button.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const to = {
        ArrowRight: index === last ? 0 : index + 1,
        ArrowLeft: index === 0 ? last : index - 1,
        Home: 0,
        End: last,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to);
      buttons[to].focus();
    });
    return button;
  });
  const choose = (index) => {
    tabs.forEach(({ panel }, each) => {
      panel.hidden = each !== index;
      buttons[each].setAttribute("aria-selected", String(each === index));
      buttons[each].tabIndex = each === index ? 0 : -1;
    });
    chosen(index);
  };
  fill(list, ...buttons);
  fill(place, ...tabs.map(({ panel }) => panel));
  choose(0);
}
