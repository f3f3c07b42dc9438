// What is shown of the API's answers. Every part is updated in place, so focus and typing survive a refresh.
import { drawGraph } from "/graph.js";

const KINDS = { own: "Gatewright", waiting: "waiting for others", heat: "Heat", device: "device", "backing-off": "back-off",
  start: "not begun", "hand-over": "hand-over" };

const LONGEST = 56;

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

// Replace the part with this id, unless it would look the same.
function part(parent, id, made) {
  made.id = id;
  const old = document.getElementById(id);
  if (!old) parent.append(made);
  else if (old.outerHTML !== made.outerHTML && !old.contains(document.activeElement)) old.replaceWith(made);
  else if (old.outerHTML !== made.outerHTML) {
    const label = document.activeElement.getAttribute("href") || document.activeElement.textContent;
    old.replaceWith(made);
    [...made.querySelectorAll("a, button")].find((n) => (n.getAttribute("href") || n.textContent) === label)?.focus();
  }
}

function link(resource, text) {
  const label = text || resource;
  const shown = cut(short(label));
  return element("a", { href: `#/resource/${encodeURIComponent(resource)}`, title: shown === label ? null : label }, shown);
}

function stage(name) {
  return element("span", { class: `stage ${name}` }, name);
}

export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} d ${Math.floor((value % 86400) / 3600)} h`;
}

// Ids by their beginning, which is what people type.
function short(text) {
  return text.replace(/\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "$1");
}

function cut(text) {
  if (text.length <= LONGEST) return text;
  const half = Math.floor((LONGEST - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(-half)}`; // names often differ in their ends
}

// What devices say; what is not as it should be stands out, and says what is wanted.
function sees(row) {
  const parts = Object.entries(row.monitoring).map(([name, value]) => (row.drift[name]
    ? element("b", { class: "failed" }, `${name} ${value}, wanted ${row.drift[name]}`) : `${name} ${value}`));
  return element("span", {}, ...parts.flatMap((each, i) => (i ? [", ", each] : [each])));
}

export function showCounts(parent, status, query, go) {
  const total = Object.values(status.counts).reduce((sum, n) => sum + n, 0);
  const rows = [["", total], ...Object.entries(status.counts).sort()];
  const made = element("div", { class: "filter" });
  for (const [name, number] of rows) {
    const pressed = (query.get("stage") || "") === name;
    const button = element("button", { class: "count", "aria-pressed": String(pressed), type: "button" },
      element("b", { class: name }, String(number)), name || "resources");
    button.addEventListener("click", () => {
      query.set("stage", pressed ? "" : name);
      if (location.hash.startsWith("#/resource/")) location.hash = `#/?stage=${pressed ? "" : name}`;
      else go(query);
    });
    made.append(button);
  }
  part(parent, "count-row", made);
  const lines = (status.problems || []).map((text) => element("li", {}, text));
  part(parent, "problems", element("ul", { class: "notes failed", hidden: lines.length ? null : "" }, ...lines));
}

// What operators have paused, and how each is ended.
function pauses(paused) {
  const lines = paused.map((each) => element("li", {}, `paused: ${short(each.scope)} by ${each.by}`,
    each.since ? `, since ${new Date(each.since * 1000).toLocaleString()}` : "", " · ",
    element("code", {}, each.resume), " lets it go on"));
  return element("ul", { class: "notes paused", hidden: lines.length ? null : "" }, ...lines);
}

export function showTable(parent, answer, query, go) {
  if (!document.getElementById("table-card")) buildTable(parent, answer, query, go);
  part(document.getElementById("table-head"), "pauses", pauses(answer.paused));
  const body = element("tbody");
  for (const row of answer.rows) {
    body.append(element("tr", {},
      element("td", {}, link(row.resource, row.name || row.id.slice(0, 8)), element("span", { class: "dim" },
        ` ${row.type}`)),
      element("td", {}, stage(row.stage)),
      element("td", { class: "num" }, `v${row.version}`),
      element("td", { class: "why" }, row.stage === "settled" ? "" : short(row.reason)),
      element("td", { class: "sees" }, sees(row)),
      element("td", { class: "num" }, row.stage === "settled" || row.stage === "failed" ? "" : seconds(row.since_seconds))));
  }
  part(document.querySelector("#table-card table"), "rows", body);
  const left = answer.total - answer.rows.length;
  const text = `${answer.total} ${answer.total === 1 ? "resource" : "resources"}${left > 0 ? `, ${answer.rows.length} shown: narrow the filter` : ""}`;
  const caption = document.querySelector("#table-card caption");
  if (caption.textContent !== text) caption.textContent = text;
}

function buildTable(parent, answer, query, go) {
  const search = element("input", { type: "search", id: "q", placeholder: "filter: name, id, reason …",
    "aria-label": "Filter", value: query.get("q") || "" });
  const types = element("select", { "aria-label": "Type" }, element("option", { value: "" }, "every type"));
  for (const name of Object.keys(answer.types).sort()) {
    types.append(element("option", { value: name, selected: query.get("type") === name ? "" : null }, name));
  }
  const changed = () => {
    const now = new URLSearchParams(location.hash.split("?")[1] || "");
    now.set("q", search.value);
    now.set("type", types.value);
    go(now);
  };
  search.addEventListener("input", changed);
  types.addEventListener("change", changed);
  const head = element("tr", {});
  for (const [text, kind] of [["resource", ""], ["stage", ""], ["version", "num"], ["why", ""], ["monitoring", ""],
    ["since", "num"]]) head.append(element("th", { scope: "col", class: kind }, text));
  parent.append(element("section", { class: "card", id: "table-card" }, element("div", { id: "table-head" }),
    element("div", { class: "filter" }, search, types),
    element("table", { class: "rows" }, element("caption"), element("thead", {}, head), element("tbody", { id: "rows" }))));
}

export function showResource(parent, answer) {
  if (answer.error) {
    part(parent, "missing", element("section", { class: "card" }, element("p", {}, answer.error),
      element("a", { href: "#/" }, "back to the table")));
    return;
  }
  const title = answer.name ? `${answer.name}` : answer.id;
  const seen = Object.keys(answer.monitoring).length > 0;
  part(parent, "title", element("section", { class: "card" },
    element("a", { href: "#/" }, "← all resources"),
    element("h2", {}, title, " ", stage(answer.stage)),
    element("div", { class: "dim" }, `${answer.resource} · version ${answer.version}`,
      seen ? " · its device says " : "", seen ? sees(answer) : "")));
  part(parent, "explain", element("section", { class: "card" }, element("h3", {}, "Why"), chain(answer.explanation)));
  if (answer.stage !== "settled" && answer.stage !== "failed") part(parent, "so-far", soFar(answer));
  else document.getElementById("so-far")?.remove();
  if (answer.history.length) {
    part(parent, "waterfall", waterfall(answer.history[answer.history.length - 1]));
    if (answer.critical_path) part(parent, "critical", critical(answer.critical_path));
  }
  const graph = element("section", { class: "card" }, element("h3", {}, "What it needs, and what needs it"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Graph" },
      drawGraph(answer.graph, answer.resource)));
  part(parent, "graph", graph);
  part(parent, "history", historyTable(answer.history));
}

function chain(explanation) {
  const top = element("ul", { class: "chain" });
  let list = top;
  for (const step of explanation.chain) {
    const since = step.since_seconds !== null && step.stage !== "settled" ? ` for ${seconds(step.since_seconds)}` : "";
    const item = element("li", {}, link(step.resource, step.name || step.resource), ` version ${step.version} is `,
      stage(step.stage), `${since}: ${short(step.text)}`);
    const facts = [...step.facts];
    if (step.others.length) facts.push(`besides it waits for ${short(step.others.join(", "))}`);
    if (facts.length) item.append(element("ul", { class: "facts" }, ...facts.map((fact) => element("li", {}, fact))));
    list.append(item);
    const inner = element("ul", { class: "chain" });
    if (step !== explanation.chain[explanation.chain.length - 1]) item.append(inner);
    list = inner;
  }
  const box = element("div", {}, top);
  if (explanation.remedy) box.append(element("p", { class: "remedy" }, `What heals it: ${explanation.remedy}`));
  return box;
}

function bar(parts, total, label) {
  const made = element("div", { class: "bar", role: "img", "aria-label": label });
  for (const [kind, value, blocker] of parts) {
    if (value <= 0) continue;
    const piece = element("i", { class: `k-${kind}`,
      title: `${KINDS[kind] || kind} ${seconds(value)}${blocker ? ` (${blocker})` : ""}` });
    piece.style.width = `${(100 * value) / (total || 1)}%`;
    made.append(piece);
  }
  return made;
}

function legend(parts) {
  const totals = {};
  for (const [kind, value] of parts) totals[kind] = (totals[kind] || 0) + value;
  const made = element("div", { class: "legend" });
  for (const [kind, value] of Object.entries(totals)) {
    made.append(element("span", {}, element("i", { class: `k-${kind}` }), `${KINDS[kind] || kind} ${seconds(value)}`));
  }
  return made;
}

// How long it has taken so far, for what has not ended.
function soFar(answer) {
  const parts = Object.entries(answer.seconds).filter(([, value]) => value > 0);
  const total = parts.reduce((sum, [, value]) => sum + value, 0);
  if (!total) return element("section", { hidden: "" });
  return element("section", { class: "card" }, element("h3", {}, `Where the time went so far: ${seconds(total)}`),
    bar(parts, total, words(parts)), legend(parts));
}

function words(parts) {
  return parts.map(([kind, value]) => `${KINDS[kind] || kind} ${seconds(value)}`).join(", ");
}

// One row of a waterfall: what it is, a bar at its place within the whole, how long it took.
function stretch(label, parts, begins, took, whole) {
  const box = bar(parts, took, words(parts));
  box.style.marginLeft = `${(100 * begins) / (whole || 1)}%`;
  box.style.width = `${Math.max(0.5, (100 * took) / (whole || 1))}%`;
  return element("li", {}, element("span", { class: "what" }, label), element("span", { class: "took" }, seconds(took)),
    element("div", { class: "track" }, box));
}

function waterfall(line) {
  const rows = element("ol", { class: "stretches" });
  let begins = 0;
  for (const span of line.spans) {
    const what = KINDS[span.kind] || span.kind;
    const label = span.blocker ? element("span", {}, "waiting for ", link(span.blocker)) : what;
    rows.append(stretch(label, [[span.kind, span.seconds, span.blocker]], begins, span.seconds, line.seconds));
    begins += span.seconds;
  }
  return element("section", { class: "card" },
    element("h3", {}, `Where the time of version ${line.version} went: ${seconds(line.seconds)}`),
    rows, legend(line.spans.map((span) => [span.kind, span.seconds])));
}

function critical(path) {
  const rows = element("ol", { class: "stretches" });
  for (const leg of path.legs) {
    const label = link(leg.resource, leg.name || leg.resource);
    rows.append(stretch(label, Object.entries(leg.parts), leg.begins, leg.ends - leg.begins, path.wall_seconds));
  }
  return element("section", { class: "card" },
    element("h3", {}, `Critical path: ${seconds(path.wall_seconds)} of wall time`), rows,
    legend(Object.entries(path.totals)));
}

function historyTable(lines) {
  const made = element("section", { class: "card" }, element("h3", {}, "History"));
  if (!lines.length) {
    made.append(element("p", { class: "dim" }, "No version has ended yet."));
    return made;
  }
  const head = element("tr", {});
  for (const text of ["version", "ended", "outcome", "took", "retries"]) head.append(element("th", { scope: "col" }, text));
  const body = element("tbody");
  for (const line of [...lines].reverse()) {
    const skipped = line.skipped.length ? ` (skipped ${line.skipped.join(", ")})` : "";
    body.append(element("tr", {},
      element("td", {}, `v${line.version}${skipped}`),
      element("td", {}, new Date(line.ended * 1000).toLocaleString()),
      element("td", {}, element("span", { class: line.error ? "failed" : "" }, `${line.outcome}`),
        line.error ? element("div", {}, short(line.error)) : ""),
      element("td", { class: "took" }, seconds(line.seconds)),
      element("td", { class: "tries" }, line.retries ? `tried again ${line.retries} times` : "")));
  }
  made.append(element("table", { class: "past" }, element("thead", {}, head), body));
  return made;
}
