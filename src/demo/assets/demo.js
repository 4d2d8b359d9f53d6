// The demo's page: tokens decoded, calls made, events followed.
// Nothing is ever put into the page as HTML; text stays text.
"use strict";

const CALLS = {
  push: ["Push the request", "RFC 9126"],
  authorize: ["Log in and allow, in the browser", "RFC 6749 §4.1.1"],
  redeem: ["Redeem the code", "RFC 7636"],
  refresh: ["Refresh", "RFC 6749 §6"],
  userinfo: ["Userinfo", "OpenID Connect Core §5.3"],
  introspect: ["Introspect", "RFC 7662"],
  revoke: ["Revoke", "RFC 7009"],
  client_credentials: ["Client credentials", "RFC 6749 §4.4"],
};
const TIMES = new Set(["exp", "iat", "nbf", "auth_time", "updated_at"]);
const LONG = 96;

const byId = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// JSON as people read it, long strings cut short.

function jsonNodes(value, indent = "") {
  if (typeof value === "string") {
    const text = value.length > LONG ? `${value.slice(0, LONG / 2)}… (${value.length} characters)` : value;
    return [element("span", "json-string", JSON.stringify(text))];
  }
  if (value === null || typeof value !== "object") {
    return [element("span", "json-atom", String(value))];
  }
  const array = Array.isArray(value);
  const entries = Object.entries(value);
  const [open, close] = array ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return [open + close];
  const inner = `${indent}  `;
  const nodes = [open];
  entries.forEach(([key, item], index) => {
    nodes.push(`\n${inner}`);
    if (!array) nodes.push(element("span", "json-key", JSON.stringify(key)), ": ");
    nodes.push(...jsonNodes(item, inner));
    if (index < entries.length - 1) nodes.push(",");
  });
  nodes.push(`\n${indent}${close}`);
  return nodes;
}

const json = (value) => {
  const pre = element("pre", "code", ...jsonNodes(value));
  pre.tabIndex = 0;
  return pre;
};

// Tokens.

function jwtPart(part) {
  const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
}

function decodeJwt(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    return { header: jwtPart(parts[0]), claims: jwtPart(parts[1]) };
  } catch {
    return null;
  }
}

function claimNodes(name, value) {
  if (TIMES.has(name) && typeof value === "number") {
    const moment = new Date(value * 1000);
    const time = element("time", "", moment.toLocaleTimeString());
    time.dateTime = moment.toISOString();
    time.title = moment.toString();
    return [time, " ", element("span", "dim", String(value))];
  }
  return [typeof value === "string" ? value : JSON.stringify(value)];
}

const fact = (name, ...nodes) => element("div", "", element("dt", "", name), element("dd", "", ...nodes));

function claimList(claims) {
  const list = element("dl", "claims");
  for (const [name, value] of Object.entries(claims)) list.append(fact(name, ...claimNodes(name, value)));
  return list;
}

function raw(token) {
  const pre = element("pre", "code raw", token);
  pre.tabIndex = 0;
  return element("details", "", element("summary", "", "Raw"), pre);
}

const shown = new Map();

function showToken(id, token, revoked, about) {
  const panel = byId(id);
  if (!panel) return;
  panel.hidden = !token;
  if (!token) return;
  const before = shown.get(id);
  shown.set(id, token);
  panel.querySelector(".token-body")?.remove();
  const heading = panel.querySelector("h3");
  heading.replaceChildren(heading.firstChild);
  if (revoked) heading.append(" ", element("span", "badge bad", "revoked"));
  else if (before && before !== token) heading.append(" ", element("span", "badge", "new"));
  const body = element("div", "token-body");
  const jwt = decodeJwt(token);
  if (jwt) {
    body.append(element("p", "label", "Header"), claimList(jwt.header));
    body.append(element("p", "label", "Claims"), claimList(jwt.claims));
  } else {
    body.append(element("p", "opaque", token.length > 28 ? `${token.slice(0, 24)}…` : token));
    body.append(element("p", "note", about));
  }
  body.append(raw(token));
  panel.append(body);
}

function showGrant(state, tokens) {
  const panel = byId("demo-grant");
  if (!panel) return;
  panel.hidden = !state.grant_id;
  panel.querySelector(".token-body")?.remove();
  const list = element("dl", "claims");
  list.append(
    fact("id", state.grant_id),
    fact("scope", tokens.scope ?? "as asked"),
    fact("token until", ...claimNodes("exp", tokens.expires_at)),
    fact("state", state.revoked ? "revoked" : "active"),
  );
  panel.append(element("div", "token-body", list));
}

// Exchanges.

function exchangeItem(exchange) {
  const [title, standard] = CALLS[exchange.call] ?? [exchange.call, ""];
  const summary = element("summary", "", element("span", "exchange-title", title));
  if (exchange.status !== null) {
    summary.append(element("span", exchange.status < 400 ? "badge" : "badge bad", String(exchange.status)));
  }
  summary.append(element("span", "std", standard));
  const details = element("details", "", summary);
  const request = element("pre", "code request", element("b", "", exchange.method), ` ${exchange.url}`);
  request.tabIndex = 0;
  for (const [name, value] of exchange.parameters) {
    const text = value.length > LONG ? `${value.slice(0, LONG / 2)}…` : value;
    request.append("\n", element("span", "json-key", name), "=", text);
  }
  details.append(request);
  details.append(exchange.answer === null ? element("p", "note", "The answer is empty.") : json(exchange.answer));
  return element("li", "", details);
}

function showExchanges(exchanges) {
  const list = byId("demo-exchanges");
  const items = exchanges.map(exchangeItem).reverse();
  items[0]?.querySelector("details")?.setAttribute("open", "");
  list.replaceChildren(...items);
  byId("demo-no-exchanges").hidden = items.length > 0;
}

function showState(state) {
  const tokens = state.tokens ?? {};
  showToken("demo-access-token", tokens.access_token, state.revoked, "Opaque: only the server can say what it is worth. Introspect it.");
  showToken("demo-id-token", tokens.id_token, false, "");
  showToken("demo-refresh-token", tokens.refresh_token, state.revoked, "Opaque: it carries the grant’s id and a secret of 256 bits, of which the server keeps a digest only.");
  showGrant(state, tokens);
  showExchanges(state.exchanges);
  if (state.grant_id) {
    byId("demo-grant-id").textContent = state.grant_id;
    byId("demo-history").hidden = false;
  }
}

// Calls.

function showError(message) {
  const alert = byId("demo-error");
  alert.textContent = message;
  alert.hidden = !message;
}

async function ask(path, options) {
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  if (!response.ok) throw new Error(`The demo answered ${response.status}. Reload the page and start again.`);
  return response.json();
}

async function call(button) {
  const name = button.dataset.call;
  button.disabled = true;
  showError("");
  try {
    const csrf = document.querySelector('meta[name="csrf-token"]').content;
    const state = await ask(`/demo/${name}`, { method: "POST", headers: { "X-CSRF-Token": csrf } });
    showState(state);
    const last = state.exchanges.at(-1);
    if (last) byId("demo-status").textContent = `${CALLS[last.call]?.[0] ?? name}: answered ${last.status}`;
  } catch (error) {
    showError(error instanceof TypeError ? "The server could not be reached." : error.message);
  } finally {
    button.disabled = false;
    button.focus();
  }
}

// Events.

function follow() {
  const list = byId("demo-events");
  const status = byId("demo-events-status");
  const seen = new Set();
  const source = new EventSource("/demo/events");
  source.onopen = () => {
    status.textContent = "live";
    status.classList.add("on");
  };
  source.onerror = () => {
    status.textContent = source.readyState === EventSource.CLOSED ? "ended" : "reconnecting";
    status.classList.remove("on");
  };
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    // A reconnected stream may repeat what was shown.
    if (seen.has(event.position)) return;
    seen.add(event.position);
    byId("demo-no-events").hidden = true;
    const moment = new Date(event.occurred_at * 1000);
    const time = element("time", "", moment.toLocaleTimeString());
    time.dateTime = moment.toISOString();
    const item = element(
      "li",
      "",
      time,
      element("p", "", event.summary),
      element("code", "", event.event_type),
      element("span", "event-who", event.actor),
      element("span", "event-position", `#${event.position}`),
    );
    item.dataset.grant = event.grant_id;
    item.dataset.type = event.event_type;
    list.append(item);
  };
}

for (const button of document.querySelectorAll("button[data-call]")) {
  button.addEventListener("click", () => call(button));
}
ask("/demo/state").then(showState, (error) => showError(error.message));
follow();
