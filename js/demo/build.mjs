// A page of every fixture, saved and at moments of its life, for looking at: node demo/build.mjs [out.html]
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { made } from "./made.mjs";

const js = join(dirname(fileURLToPath(import.meta.url)), "..");
const built = (name) => readFileSync(join(process.env.LNB_OUT ?? join(js, "../letta_nb/static"), name), "utf8");
const packed = (text) => gzipSync(text, { level: 9 }).toString("base64");
const raw = (name) => join(js, "fixtures/raw", `${name}.jsonl`);
const runs = made();
const load = (name) => runs[name] ?? JSON.parse(readFileSync(join(js, "fixtures", `${name}.json`), "utf8"));
const names = readdirSync(join(js, "fixtures"))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(".json", ""))
  .concat(Object.keys(runs));

/** The run as it stood at `ms`. */
function upTo(snapshot, ms) {
  const changes = [];
  for (const change of snapshot.changes) {
    if (!change.op && !change.marks) {
      if (change.at <= ms) changes.push(change);
    } else if (!change.op) {
      let length = 0;
      for (let n = 0; n < change.marks.length; n += 2) if (change.marks[n] <= ms) length = change.marks[n + 1];
      const marks = change.marks.filter((_, n) => change.marks[n - (n % 2)] <= ms);
      if (length) changes.push({ ...change, text: change.text.slice(0, length), marks });
    } else if (change.at <= ms) changes.push(change);
  }
  return { seq: 1, now: ms, changes };
}

const LIVE = [
  ["waiting", "multi2_tok_server", 150],
  ["arguments", "multi2_tok_server", 7225],
  ["tool", "multi2_tok_server", 9514],
  ["answer", "multi2_tok_server", 12178],
  ["parallel", "parallel2_tok", 6000],
  ["reasoning", "multi2_tok_server", 220],
  ["stalled", "arriving", 12000],
  ["asks-one", "answered_parallel_step", 20500],
  ["asks-three", "asks_three", 42000],
  ["asks-half", "half_answered", 50000],
  ["asks-function", "function_tok", 2800],
  ["goes-on", "answered_tok", 44000],
  ["function-runs", "function_tok", 3500],
  ["stopping", "cancel_slowtok", 1300],
  ["lost", "resumed", 4000],
  ["back", "resumed", 9000],
];

function frozen(name) {
  const loader = built("loader.js")
    .replace("__DATA__", packed(JSON.stringify(load(name))))
    .replace("__MORE__", packed(built("more.js")))
    .replace("__RAW__", existsSync(raw(name)) ? packed(readFileSync(raw(name), "utf8")) : "")
    .replace("__CODE__", packed(built("frozen.js")));
  return `<div class="lnb-out"><div class="lnb-bare"><p>bare</p></div><script>${loader}</script></div>`;
}

const section = (id, inner) => `<section id="${id}"><h2>${id}</h2><div class="cell">${inner}</div></section>`;
const live = LIVE.map(([id]) => section(`live-${id}`, `<div class="live" data-name="${id}"></div>`));
const states = Object.fromEntries(LIVE.map(([id, name, ms]) => [id, upTo(load(name), ms)]));
for (const [id, state] of Object.entries(states)) state.changes[0].set.uid = `live-${id}`;
// what only a live kernel tells
const tell = (id, ...changes) => states[id].changes.push(...changes);
const call = (id) => states[id].changes.find((change) => change.kind === "tool_call").entry;
const fact = (id, at, set) => tell(id, { op: "entry", at, entry: call(id), set });
const head = (id, at, set) => tell(id, { op: "run", at, set });
fact("asks-function", 245, { here: true });
fact("function-runs", 3020, { here: true, approval: "approved", answered: 3000, reason: null, started: 3020 });
head("lost", 3200, { connection: { lost: 3200, back: null, times: 1 } });
head("stopping", 1200, { cancel: { asked: 1200, outcome: "asked", words: null } });

const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>letta_nb view</title><style>
body{margin:0;padding:16px;font:13px/20px system-ui,sans-serif;background:#fff;color:#111}
body.dark{background:#111315;color:#ddd} h2{font-size:12px;opacity:.6} .cell{max-width:822px} body.narrow .cell{max-width:380px} section{margin-bottom:24px}
</style></head><body><script>document.body.className=location.hash.slice(1).replaceAll(","," ")</script>
${live.join("\n")}
${names.map((name) => section(name, frozen(name))).join("\n")}
<script type="module">
const states = ${JSON.stringify(states).replaceAll("<", "\\u003c")};
const url = URL.createObjectURL(new Blob([${JSON.stringify(built("widget.js")).replaceAll("</", "<\\/")}], { type: "text/javascript" }));
const widget = (await import(url)).default;
window.sent = [];
for (const el of document.querySelectorAll(".live")) {
  const snapshot = states[el.dataset.name];
  const model = { get: (key) => ({ uid: "live-" + el.dataset.name, snapshot })[key], on() {}, off() {}, send: (words) => window.sent.push(words) };
  widget.initialize({ model });
  widget.render({ model, el });
}
window.ready = true;
</script></body></html>`;
const out = process.argv[2] ?? "/tmp/letta_nb_demo.html";
writeFileSync(out, html);
console.log(out, html.length);
