// A small layered drawing of the graph: what is needed stands to the left of what needs it.
const NS = "http://www.w3.org/2000/svg";
const WIDTH = 190;
const HEIGHT = 40;
const GAP_X = 60;
const GAP_Y = 14;
const LETTERS = 23;

function make(name, attributes, ...children) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Names often differ in their ends.
function short(text) {
  const half = Math.floor((LETTERS - 1) / 2);
  return text.length > LETTERS ? `${text.slice(0, half)}…${text.slice(-half)}` : text;
}

// Longest path from what needs nothing; relaxed a bounded number of times, so a ring does no harm.
function columns(graph) {
  const column = new Map(graph.nodes.map((node) => [node.resource, 0]));
  for (let round = 0; round < graph.nodes.length; round += 1) {
    let changed = false;
    for (const [needing, needed] of graph.edges) {
      const least = (column.get(needed) ?? 0) + 1;
      if (needing !== needed && column.get(needing) < least && least < graph.nodes.length) {
        column.set(needing, least);
        changed = true;
      }
    }
    if (!changed) break;
  }
  return column;
}

export function drawGraph(graph, here) {
  const column = columns(graph);
  const used = new Map();
  const at = new Map();
  for (const node of graph.nodes) {
    const x = column.get(node.resource);
    const y = used.get(x) || 0;
    used.set(x, y + 1);
    at.set(node.resource, { x: 4 + x * (WIDTH + GAP_X), y: 4 + y * (HEIGHT + GAP_Y) });
  }
  const width = 8 + (Math.max(0, ...column.values()) + 1) * (WIDTH + GAP_X) - GAP_X;
  const height = 8 + Math.max(1, ...used.values()) * (HEIGHT + GAP_Y) - GAP_Y;
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group" });
  const critical = new Set(graph.nodes.filter((node) => node.critical).map((node) => node.resource));
  for (const [needing, needed] of graph.edges) {
    const from = at.get(needed);
    const to = at.get(needing);
    if (!from || !to) continue;
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    const bend = Math.max(20, (x2 - x1) / 2);
    svg.append(make("path", { d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
      class: critical.has(needing) && critical.has(needed) ? "critical" : "" }));
  }
  for (const node of graph.nodes) {
    const { x, y } = at.get(node.resource);
    const [type, id] = node.resource.split(":");
    const kind = `n-${node.stage} ${node.critical ? "critical" : ""} ${node.resource === here ? "here" : ""}`;
    const box = make("g", { class: kind, transform: `translate(${x},${y})` },
      make("rect", { width: WIDTH, height: HEIGHT, rx: 6 }),
      make("text", { x: 8, y: 17 }, short(node.name || id.slice(0, 8))),
      make("text", { x: 8, y: 33, class: "small" }, `${short(type)}${node.stage === "settled" ? "" : ` · ${node.stage}`}`),
      make("title", {}, `${node.resource} ${node.name} is ${node.stage}`));
    const anchor = make("a", { href: `#/resource/${encodeURIComponent(node.resource)}`,
      "aria-label": `${type} ${node.name || id} is ${node.stage}` }, box);
    svg.append(anchor);
  }
  return svg;
}
