// `data-upload`: sends a GGUF file in pieces, each where the last one ended. A lost
// connection is tried again from what the hub has; Stop ends it.
const RETRIES = 5;
const RETRY_MS = 2000;
const MB = 1e6;

function wait(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** The hub's answer; throws TypeError where there is none, Error with its words where it refuses. */
async function post(url, body, token, signal) {
  const response = await fetch(url, { method: "POST", body, headers: { "x-csrftoken": token }, signal });
  const answer = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
  if (response.ok && !answer.error) return answer;
  throw new Error(answer.error ?? `The hub answered with an error (${response.status}). See its log, then try again.`);
}

/** Like post, and again where the connection was lost: the hub says where to go on. */
async function insist(url, body, token, signal) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await post(url, body, token, signal);
    } catch (error) {
      if (!(error instanceof TypeError) || tries === RETRIES || signal.aborted) throw error;
      await wait(RETRY_MS, signal);
    }
  }
}

async function send(file, form, signal, report) {
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const order = new FormData();
  order.set("name", file.name);
  order.set("size", file.size);
  const { url, chunk_bytes: size } = await insist(form.action, order, token, signal);
  for (let offset = 0; ; ) {
    const answer = await insist(`${url}?offset=${offset}`, file.slice(offset, offset + size), token, signal);
    if (answer.done) return answer.done;
    offset = answer.received;
    report(offset);
  }
}

function start(form) {
  const [input, error, note, bar, stop] = [
    "[type=file]", "[data-upload-error]", "[data-upload-note]", "[data-upload-bar]", "[data-upload-stop]",
  ].map((selector) => form.querySelector(selector));
  const submit = form.querySelector("[type=submit]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file] = input.files;
    const control = new AbortController();
    const busy = (on) => {
      submit.disabled = on;
      stop.hidden = bar.hidden = !on;
    };
    stop.onclick = () => control.abort();
    error.hidden = true;
    bar.value = 0;
    busy(true);
    try {
      const next = await send(file, form, control.signal, (received) => {
        bar.value = received / file.size;
        note.textContent = `${Math.round(received / MB)} of ${Math.round(file.size / MB)} MB`;
      });
      const here = window.location.pathname;
      window.location.assign(next);
      // An address that differs in its last part alone, behind the #, loads nothing.
      if (new URL(next, window.location.href).pathname === here) window.location.reload();
    } catch (failure) {
      const lost = failure instanceof TypeError;
      error.textContent = lost ? "The hub does not answer. Start it, then upload again." : failure.message;
      error.hidden = control.signal.aborted;
      note.textContent = "";
    } finally {
      busy(false);
    }
  });
}

for (const form of document.querySelectorAll("[data-upload]")) start(form);
