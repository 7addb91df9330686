// A client as it should be: one key a purchase, drawn before the first try; every try with the same key and the same
// bytes; a try that brings no answer is made again.

const main = document.querySelector("main");
const tenant = main.dataset.tenant;
const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const POLL = 150;
const AGAIN = 500;

let purchase = null;

$("order").addEventListener("submit", (event) => {
  event.preventDefault();
  buy(new FormData(event.target));
});
$("again").addEventListener("click", () => ask(purchase));
$("crash")?.addEventListener("click", crash);

function buy(form) {
  const article = document.querySelector(`option[value="${form.get("sku")}"]`);
  const qty = Number(form.get("qty"));
  const key = uuid();
  const order = {
    order_id: `web-${key.slice(0, 8)}`,
    sku: form.get("sku"),
    qty,
    amount: qty * Number(article.dataset.cents),
    currency: "USD",
    card: form.get("card"),
  };
  purchase = { key, order, body: JSON.stringify(order), first: null, tries: 0 };
  $("answers").replaceChildren();
  $("same").textContent = "";
  $("body").hidden = true;
  $("key").textContent = `Idempotency-Key: ${key}`;
  marked(0, false);
  ask(purchase);
}

// Asks until there is a final answer.
async function ask(mine) {
  busy(true);
  const live = watch(mine);
  try {
    for (;;) {
      const answer = await tried(mine);
      if (answer.final) {
        await finished(mine, answer);
        return;
      }
      said(`${answer.why}; asking again with the same key.`, answer.down);
      await pause(answer.after);
    }
  } finally {
    live.stop = true;
    busy(false);
    await books(mine);
  }
}

function headers(mine) {
  return { authorization: `Bearer ${tenant}`, "idempotency-key": `"${mine.key}"` };
}

async function tried(mine) {
  mine.tries += 1;
  const row = $("answers").insertRow();
  const [number, status, again, length, hash] = Array.from({ length: 5 }, () => row.insertCell());
  number.textContent = mine.tries;
  status.textContent = "…";
  try {
    const response = await fetch("/checkouts", {
      method: "POST",
      headers: { ...headers(mine), "content-type": "application/json" },
      body: mine.body,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const replayed = response.headers.get("idempotent-replayed") === "true";
    status.textContent = response.status;
    again.textContent = replayed ? "yes" : "no";
    length.textContent = bytes.length;
    hash.textContent = await digest(bytes);
    const after = Number(response.headers.get("retry-after"));
    if (response.status === 503 || (response.status === 409 && after > 0)) {
      return { why: problem(bytes), after: Math.min(after || 1, 5) * 1000 };
    }
    return { final: true, status: response.status, bytes, replayed };
  } catch {
    status.textContent = "none";
    return { why: "No answer: the server is gone", down: true, after: AGAIN };
  }
}

async function finished(mine, answer) {
  const text = new TextDecoder().decode(answer.bytes);
  $("body").textContent = text;
  $("body").hidden = false;
  if (answer.status === 201) {
    marked(Infinity, false);
    said("Finished. The response is stored.");
  } else {
    marked(0, false);
    said(`Refused: ${problem(answer.bytes)}`, true);
  }
  if (mine.first === null) {
    mine.first = answer.bytes;
    return;
  }
  const same = mine.first.length === answer.bytes.length && mine.first.every((byte, at) => byte === answer.bytes[at]);
  $("same").classList.toggle("bad", !same);
  $("same").textContent = same ? "The same bytes as the first answer. Nothing ran." : "Other bytes than the first answer!";
}

// Looks at the status resource while a try is under way.
function watch(mine) {
  const live = { stop: false };
  (async () => {
    let seen = "";
    while (!live.stop) {
      try {
        const response = await fetch("/checkouts/status", { headers: headers(mine) });
        if (response.ok && !live.stop) {
          const status = await response.json();
          if (!live.stop && status.status !== "finished") {
            marked(status.steps_done, true);
            const now = `${status.status} at ${status.recovery_point}, attempt ${status.attempts}, fence ${status.fence}.`;
            if (now !== seen) {
              seen = now;
              said(now);
              await books(mine);
            }
          }
        }
      } catch {
        // The server is gone: the try itself says so.
      }
      await pause(POLL);
    }
  })();
  return live;
}

async function books(mine) {
  try {
    const response = await fetch(`/books/${encodeURIComponent(mine.order.order_id)}`);
    if (response.ok) $("books").innerHTML = await response.text();
  } catch {
    // They are read again.
  }
}

async function crash() {
  said("Killed.", true);
  await fetch(main.dataset.crash, { method: "POST", headers: { "x-crash": "now" } }).catch(() => {});
}

function marked(done, running) {
  [...$("steps").children].forEach((step, at) => {
    step.classList.toggle("done", at <= done && purchase !== null);
    step.classList.toggle("next", running && at === done + 1);
  });
}

function said(text, bad = false) {
  $("standing").textContent = text;
  $("standing").classList.toggle("bad", bad);
}

function busy(on) {
  $("buy").disabled = on;
  $("again").disabled = on || purchase === null;
}

function problem(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)).detail;
  } catch {
    return "an answer that is no problem document";
  }
}

// Only pages over TLS or of this machine have the digest, and the UUID.
async function digest(bytes) {
  if (!crypto.subtle) return "";
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `${[...hash.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}…`;
}

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [8, 13, 18, 23].reduce((text, at) => `${text.slice(0, at)}-${text.slice(at)}`, hex);
}
