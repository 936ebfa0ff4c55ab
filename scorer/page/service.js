// The service that this page belongs to. All addresses are relative, so that a proxy may put it below a prefix.

import { byId } from "./dom.js";

let token = null; // Here and nowhere else: not in storage, not in an address, not in a snippet.
let asking = null;

// A browser may keep a page that was left as it is, for whoever goes back.
addEventListener("pagehide", () => {
  token = null;
});

/** An answer of the service that is no success, or no answer at all (status 0). */
export class Refusal extends Error {
  constructor(status, { error, code, pointer, request_id: requestId } = {}) {
    super(error || (status ? `The service answered ${status}.` : "The service doesn't answer."));
    this.status = status;
    this.code = code;
    this.pointer = pointer;
    this.requestId = requestId;
  }
}

/** Whether the service has been asked with a token. */
export function hasToken() {
  return token !== null;
}

/** Return the whole address of a path, for people. */
export function addressOf(path) {
  return new URL(path, document.baseURI).href;
}

/**
 * Ask, and return the response. Where the service asks for a token, so does the page, unless `quietly`.
 * Throws a Refusal.
 */
export async function ask(path, { quietly = false, headers = {}, ...options } = {}) {
  for (;;) {
    const used = token;
    const credentials = used === null ? {} : { Authorization: `Bearer ${used}` };
    let response;
    try {
      response = await fetch(path, { ...options, headers: { ...headers, ...credentials }, credentials: "same-origin" });
    } catch {
      throw new Refusal(0);
    }
    if (response.ok) return response;
    if (response.status !== 401 || quietly) throw new Refusal(response.status, await bodyOf(response));
    // Somebody may have given one while this request was on its way.
    if (token === used) await askForToken(used !== null);
  }
}

/** Ask, and return the decoded answer. */
export async function askForJson(path, options = {}) {
  const response = await ask(path, { ...options, headers: { Accept: "application/json", ...options.headers } });
  return response.json();
}

async function bodyOf(response) {
  try {
    const body = await response.json();
    return typeof body?.error === "string" ? body : {};
  } catch {
    return {};
  }
}

function askForToken(wasWrong) {
  token = null;
  asking ??= new Promise((resolve) => {
    const section = byId("token");
    const form = byId("token-form");
    const input = byId("token-value");
    const problem = byId("token-error");
    const complain = (text) => {
      problem.textContent = text;
      input.setAttribute("aria-invalid", String(text !== ""));
      input.focus();
    };
    const submit = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      if (given === "") return complain("Enter the token.");
      // What a header can't carry is no token (RFC 6750).
      if (!/^[\x21-\x7e]+$/.test(given)) return complain("That can't be a token: it has characters that no token has.");
      token = given;
      asking = null;
      input.value = "";
      form.removeEventListener("submit", submit);
      section.hidden = true;
      resolve();
    };
    form.addEventListener("submit", submit);
    section.hidden = false;
    complain(wasWrong ? "The service doesn't know that token. Try another one." : "");
  });
  return asking;
}
