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
  const shown = label.length > LONGEST ? `${label.slice(0, LONGEST - 1)}…` : label;
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

function sees(monitoring) {
  return Object.entries(monitoring).map(([name, value]) => `${name} ${value}`).join(", ");
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
  const text = status.problems && status.problems.length ? status.problems.join(" · ") : "";
  part(parent, "problems", element("p", { class: "failed" }, text));
}

export function showTable(parent, answer, query, go) {
  if (!document.getElementById("table-card")) buildTable(parent, answer, query, go);
  const body = element("tbody");
  for (const row of answer.rows) {
    body.append(element("tr", {},
      element("td", {}, link(row.resource, row.name || row.id.slice(0, 8)), element("span", { class: "dim" },
        ` ${row.type}`)),
      element("td", {}, stage(row.stage)),
      element("td", { class: "num" }, `v${row.version}`),
      element("td", { class: "why" }, row.stage === "settled" ? "" : row.reason),
      element("td", { class: "sees" }, sees(row.monitoring)),
      element("td", { class: "num" }, row.stage === "settled" || row.stage === "failed" ? "" : seconds(row.since_seconds))));
  }
  part(document.querySelector("#table-card table"), "rows", body);
  const left = answer.total - answer.rows.length;
  const text = `${answer.total} resources${left > 0 ? `, ${answer.rows.length} shown: narrow the filter` : ""}`;
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
  parent.append(element("section", { class: "card", id: "table-card" },
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
  const monitoring = sees(answer.monitoring);
  part(parent, "title", element("section", { class: "card" },
    element("p", {}, element("a", { href: "#/" }, "← all resources")),
    element("h2", {}, title, " ", stage(answer.stage)),
    element("p", { class: "dim" }, `${answer.resource} · version ${answer.version}`,
      monitoring ? ` · its device says ${monitoring}` : "")));
  part(parent, "explain", element("section", { class: "card" }, element("h3", {}, "Why"), chain(answer.explanation)));
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
      stage(step.stage), `${since}: ${step.text}`);
    const facts = [...step.facts];
    if (step.others.length) facts.push(`besides it waits for ${step.others.join(", ")}`);
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

function waterfall(line) {
  const parts = line.spans.map((span) => [span.kind, span.seconds, span.blocker]);
  const label = parts.map(([kind, value]) => `${KINDS[kind] || kind} ${seconds(value)}`).join(", ");
  return element("section", { class: "card" },
    element("h3", {}, `Where the time of version ${line.version} went: ${seconds(line.seconds)}`),
    bar(parts, line.seconds, label), legend(parts));
}

function critical(path) {
  const made = element("section", { class: "card" }, element("h3", {}, `Critical path: ${seconds(path.wall_seconds)} of wall time`));
  const body = element("tbody");
  for (const leg of path.legs) {
    const parts = Object.entries(leg.parts);
    const cell = element("td", {});
    const box = bar(parts, leg.ends - leg.begins, parts.map(([k, v]) => `${KINDS[k] || k} ${seconds(v)}`).join(", "));
    box.style.marginLeft = `${(100 * leg.begins) / (path.wall_seconds || 1)}%`;
    box.style.width = `${Math.max(0.5, (100 * (leg.ends - leg.begins)) / (path.wall_seconds || 1))}%`;
    cell.append(box);
    cell.style.width = "55%";
    body.append(element("tr", {}, element("td", {}, link(leg.resource, leg.name || leg.resource)), cell,
      element("td", { class: "num" }, seconds(leg.ends - leg.begins))));
  }
  made.append(element("table", {}, body), legend(Object.entries(path.totals)));
  return made;
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
      element("td", {}, `${line.version}${skipped}`),
      element("td", {}, new Date(line.ended * 1000).toLocaleString()),
      element("td", {}, element("span", { class: line.error ? "failed" : "" }, `${line.outcome}`),
        line.error ? element("div", {}, line.error) : ""),
      element("td", { class: "num" }, seconds(line.seconds)),
      element("td", {}, line.retries ? String(line.retries) : "")));
  }
  made.append(element("table", {}, element("thead", {}, head), body));
  return made;
}
