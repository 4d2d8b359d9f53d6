// OpenID Connect Session Management 1.0 §3.2: tells the page around this one
// whether the person is still who they were. It asks with "CLIENT_ID STATE".
"use strict";

const cookie = `${document.currentScript.dataset.cookie}=`;
const encoder = new TextEncoder();

// Nobody is logged in: none.
function browserState() {
  const mine = document.cookie.split("; ").find((text) => text.startsWith(cookie));
  return mine ? mine.slice(cookie.length) : "";
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function status(message, origin) {
  const space = message.lastIndexOf(" ");
  const clientId = message.slice(0, space);
  const state = message.slice(space + 1);
  const [, salt] = state.split(".");
  if (space < 1 || !salt) return "error";
  // Where the browser keeps our cookies from pages of others, "changed" would
  // send the client here again and again.
  if (document.hasStorageAccess && !(await document.hasStorageAccess())) return "error";
  const text = encoder.encode([clientId, origin, browserState(), salt].join(" "));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return state === `${base64url(hash)}.${salt}` ? "unchanged" : "changed";
}

addEventListener("message", async (event) => {
  // Only a page in another window or frame, of an origin that can be named.
  if (!event.source || event.source === window || event.origin === "null") return;
  let answer = "error";
  try {
    answer = await status(event.data, event.origin);
  } catch {
    // Not a text, or a frame that may not use cookies or hashes.
  }
  event.source.postMessage(answer, event.origin);
});
