// The page of one model's service: it asks the service what it is, and shows that.

import { watchCounts } from "./counts.js";
import { makeDiagram } from "./diagram.js";
import { byId, fill, make, makeTabs } from "./dom.js";
import { makeForm, makeRows } from "./form.js";
import { makeResult } from "./result.js";
import { ask, askForJson, hasToken, Refusal } from "./service.js";
import { makeSnippets } from "./snippets.js";

const TASKS = { classifier: "Classifier", regressor: "Regressor", outlier_detector: "Outlier detector", other: "Model" };

async function start() {
  let index;
  let metadata;
  try {
    index = await askForJson("./");
    metadata = await askForJson("metadata");
  } catch (error) {
    return showTrouble(error);
  }
  showHeader(index, metadata);
  byId("main").hidden = false;
  showPredict(metadata, watchCounts(byId("counts"), byId("counts-note")));
  fill(byId("pipeline"), makeDiagram(metadata));
}

function showTrouble(error) {
  const trouble = byId("trouble");
  trouble.hidden = false;
  trouble.textContent = error instanceof Refusal ? `${error.message} Reload this page to try again.` : `This page failed: ${error}`;
}

function showHeader({ name, routes }, metadata) {
  document.title = `${name}: ${metadata.task.replaceAll("_", " ")}`;
  byId("name").textContent = name;
  fill(byId("facts"), ...factsOf(metadata).flatMap((fact, i) => (i ? [" · ", fact] : [fact])));
  byId("made").textContent = `Served by nachlass ${metadata.nachlass}`;
  const links = [
    ["OpenAPI", "openapi.json"],
    ["Metadata", "metadata"],
    ["Metrics", "metrics"],
  ];
  // A browser that follows a link sends no token: what can be had with one alone is fetched here.
  const made = links.map(([text, path]) => make("a", { href: path, onclick: (event) => hasToken() && save(event, path) }, text));
  if (routes.includes("/notebooks/") && !hasToken()) made.push(make("a", { href: "notebooks/" }, "Notebooks"));
  fill(byId("links"), ...made);
}

function factsOf({ task, version, provenance }) {
  const facts = [TASKS[task] ?? TASKS.other, make("span", {}, "version ", make("code", {}, version))];
  const runs = (provenance?.notebooks ?? []).map(({ trained }) => trained).filter((trained) => trained?.at);
  const last = runs.sort((one, other) => one.at.localeCompare(other.at)).at(-1);
  if (last === undefined) return facts;
  const at = new Date(last.at);
  if (!Number.isNaN(at.getTime())) {
    const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
    facts.push(make("span", {}, "trained ", make("time", { datetime: last.at, title: last.at }, day)));
  }
  if (last.commit?.id) {
    facts.push(make("span", {}, "commit ", make("code", { title: last.commit.id }, last.commit.id.slice(0, 12)), last.commit.dirty ? " with changes" : null));
  }
  return facts;
}

async function save(event, path) {
  event.preventDefault();
  try {
    const address = URL.createObjectURL(await (await ask(path)).blob());
    make("a", { href: address, download: path.includes(".") ? path : `${path}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    showTrouble(error);
  }
}

function showPredict(metadata, renewCounts) {
  const hasProbabilities = metadata.methods.includes("predict_proba");
  const path = hasProbabilities ? "predict?probabilities=true" : "predict";
  const result = byId("result");
  const renewSnippets = makeSnippets(byId("languages"), byId("snippets"), { path });
  const ways = [makeForm, makeRows].map((makeWay) => {
    const way = makeWay(metadata, {
      changed: () => renewSnippets(way.rows()),
      submit: () => predict(way),
    });
    return way;
  });
  const tabs = ways.map(({ panel }, i) => ({ label: ["Form", "JSON"][i], panel }));
  makeTabs(byId("spelling"), byId("panels"), tabs, (i) => {
    fill(result);
    renewSnippets(ways[i].rows());
  });

  let asked = 0;
  async function predict(way) {
    asked += 1;
    const mine = asked;
    way.clear();
    result.setAttribute("aria-busy", "true");
    const started = performance.now();
    try {
      const rows = await askForJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: way.rows() });
      const seconds = (performance.now() - started) / 1000;
      if (mine === asked) fill(result, makeResult(metadata, rows, { hasProbabilities, seconds }));
    } catch (error) {
      if (mine !== asked) return;
      fill(result);
      if (!(error instanceof Refusal && way.complain(error))) fill(result, problemOf(error));
    } finally {
      if (mine === asked) result.removeAttribute("aria-busy");
    }
    renewSnippets(way.rows());
    renewCounts();
  }
}

function problemOf(error) {
  const id = error.requestId ? make("span", { class: "hint" }, ` Request ${error.requestId}`) : null;
  return make("p", { class: "notice" }, String(error.message), id);
}

start();
