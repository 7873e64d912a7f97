// The names that may be shortened in a bundle: members of our own classes and interfaces, and of nothing else.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : path.endsWith(".ts") ? [path] : [];
  });
}

/** Where the compiler keeps what it knows of the browser. */
function libFolder() {
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  const from = createRequire(require.resolve("typescript/package.json"));
  return join(dirname(from.resolve(`${platform}/package.json`)), "lib");
}

const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);

// what leaves the code under its own name: words of the wire and of a host, and what outputs of all versions share
const OUTSIDE = ["page.gen.ts", "widget.ts", "frozen.ts", "loader.ts", "view/ui.ts", "view/rawlines.ts"];
const FIELD = /^ {2}(?:private |readonly |static |async |get |set )*([A-Za-z_]\w*)\??(?:[:(;<]| =)/;
const PARAMETER = /^ {4}(?:private |readonly )+([A-Za-z_]\w*)/;

/** The members that the classes and interfaces of a file declare. */
function membersIn(text) {
  const names = [];
  let inside = false;
  for (const line of text.split("\n")) {
    if (/^(?:export )?(?:class|interface) /.test(line)) inside = true;
    if (line === "}") inside = false;
    const name = inside && (FIELD.exec(line)?.[1] ?? PARAMETER.exec(line)?.[1]);
    if (name) names.push(name);
  }
  return names;
}

/** A pattern of the names, but for those that anything else may have too; and the short names of what is outside. */
export function ownNames(src) {
  const taken = new Set();
  const take = (text, pattern) => {
    for (const name of all(text, pattern)) taken.add(name);
  };
  for (const file of readdirSync(libFolder())) {
    if (/^lib\..*\.d\.ts$/.test(file))
      take(readFileSync(join(libFolder(), file), "utf8"), /([A-Za-z_$][\w$]*)\??\s*[:(<]/g);
  }
  const smd = readFileSync(join(src, "../node_modules/streaming-markdown/smd.js"), "utf8");
  take(smd, /([A-Za-z_]\w*)/g);
  const found = new Set();
  const short = new Set();
  for (const path of filesUnder(src)) {
    const text = readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    take(text, /["'`]([A-Za-z_]\w*)["'`]/g);
    take(text, /dataset\.(\w+)/g);
    if (OUTSIDE.some((name) => path.endsWith(name))) {
      take(text, /([A-Za-z_]\w*)/g);
      for (const name of all(text, /\b([A-Za-z_]\w?)\b/g)) short.add(name);
    } else for (const name of membersIn(text)) found.add(name);
  }
  // the parser's own state, and the methods that it calls: no word of the browser is written so
  for (const name of all(smd, /\bp(?:\.renderer)?\.([a-z]+_[a-z_]+)/g)) {
    taken.delete(name);
    found.add(name);
  }
  const names = [...found].filter((name) => name.length > 2 && !taken.has(name)).sort();
  return { NAMES: new RegExp(`^(?:${names.join("|")})$`), SHORT: [...short] };
}
