// Text files beside a message: chosen, dropped or pasted, they become part of its text.

const MOST_BYTES = 200_000;

const kilobytes = (bytes) => `${Math.ceil(bytes / 1000).toLocaleString("en")} kB`;

/** The file's text; throws an Error that says why it can't be attached. */
async function textOf(file) {
  if (file.size > MOST_BYTES) {
    throw new Error(`${file.name} has ${kilobytes(file.size)}. Attach at most ${kilobytes(MOST_BYTES)}, such as the part that matters.`);
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    if (bytes.includes(0)) throw new TypeError("binary");
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${file.name} is not a text file. Attach text, Markdown, code or CSV in UTF-8.`);
  }
}

// The fence is longer than any in the file, so that the file can't end it.
function fenced(name, text) {
  const longest = (text.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 2);
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text.replace(/\n?$/, "\n")}${fence}\n\n`;
}

function write(textarea, text) {
  const before = textarea.value.trimEnd();
  textarea.value = before ? `${before}\n\n${text}` : text;
  textarea.dispatchEvent(new Event("input", { bubbles: true }));
  textarea.focus();
  textarea.scrollTop = textarea.scrollHeight;
}

function complain(what) {
  const problem = document.querySelector("[data-attach-problem]");
  problem.textContent = what;
  problem.hidden = !what;
}

async function attach(files) {
  const textarea = document.getElementById("composer-content");
  const refused = [];
  for (const file of files) {
    try {
      write(textarea, fenced(file.name, await textOf(file)));
    } catch (error) {
      refused.push(error.message);
    }
  }
  complain(refused.join(" "));
}

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");

function startDropping(place, composer) {
  place.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    composer.dataset.dropping = "";
  });
  place.addEventListener("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) delete composer.dataset.dropping;
  });
  place.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    delete composer.dataset.dropping;
    attach([...event.dataTransfer.files]);
  });
}

// Spreadsheets and word processors put a picture beside the text that they copy.
function paste(event) {
  const { files, types } = event.clipboardData;
  if (files.length === 0 || types.includes("text/plain")) return;
  event.preventDefault();
  attach([...files]);
}

export function startAttaching() {
  const button = document.querySelector("[data-attach]");
  const chooser = document.querySelector("[data-attach-files]");
  button.hidden = false;
  button.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", async () => {
    await attach([...chooser.files]);
    chooser.value = "";
  });
  const textarea = document.getElementById("composer-content");
  textarea.addEventListener("paste", paste);
  textarea.addEventListener("input", () => complain(""));
  startDropping(document.querySelector(".chat__main"), document.querySelector(".composer"));
}
