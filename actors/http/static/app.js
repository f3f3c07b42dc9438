// The dashboard: asks the read-only API once a second while it can be seen, and shows what it says.
// Texts are set as text, never as markup. The address after # says what is shown, so back and reload work.
import { element, showCounts, showResource, showTable } from "/views.js";

const EVERY_MS = 1000;
const ROWS = 200;
const main = document.getElementById("main");
const state = document.getElementById("state");
let shown = "";
let busy = false;

export function token() {
  return sessionStorage.getItem("token") || "";
}

async function get(path) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const response = await fetch(path, { headers });
  if (response.status === 401) throw new Error("token");
  const value = await response.json();
  if (!response.ok && response.status !== 404) throw new Error(value.error || response.statusText);
  return value;
}

function place() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const resource = path.startsWith("/resource/") ? decodeURIComponent(path.slice("/resource/".length)) : "";
  return { resource, query: new URLSearchParams(query || "") };
}

export function go(query) {
  const text = [...query].filter(([, value]) => value).length ? `?${query}` : "";
  history.replaceState(null, "", `#/${text}`);
  refresh();
}

function tell(text, bad) {
  if (state.textContent !== text) state.textContent = text;
  state.className = bad ? "bad" : "";
}

function askForToken() {
  if (document.getElementById("token")) return;
  const field = element("input", { id: "token", type: "password", autocomplete: "off" });
  const form = element("form", { class: "card" }, element("label", { for: "token" }, "Token (http.token): "), field,
    " ", element("button", { class: "plain" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", field.value);
    shown = "";
    main.replaceChildren();
    refresh();
  });
  main.replaceChildren(form);
  field.focus();
}

async function refresh() {
  if (busy) return;
  busy = true;
  try {
    const { resource, query } = place();
    const status = await get("/api/v1/status?limit=0");
    tell(`etcd ${status.store}${status.ready ? "" : ", still reading"} · ${status.controller || "no controller"}`,
      !status.store.startsWith("up"));
    showCounts(document.getElementById("counts"), status, query, go);
    const key = resource || "table";
    const fresh = key !== shown;
    if (fresh) main.replaceChildren();
    if (resource) {
      showResource(main, await get(`/api/v1/resources/${encodeURIComponent(resource)}`), fresh);
    } else {
      if (!query.has("limit")) query.set("limit", ROWS);
      showTable(main, await get(`/api/v1/resources?${query}`), query, go);
    }
    if (fresh) {
      shown = key;
      document.title = resource ? `${resource} · Gatewright` : "Gatewright";
    }
  } catch (error) {
    if (error.message === "token") {
      tell("a token is needed", true);
      askForToken();
    } else {
      tell(`the controller does not answer (${error.message}); trying again`, true);
    }
  } finally {
    busy = false;
  }
}

window.addEventListener("hashchange", () => {
  main.replaceChildren();
  shown = "";
  refresh().then(() => main.focus());
});
setInterval(() => document.hidden || refresh(), EVERY_MS);
refresh();
