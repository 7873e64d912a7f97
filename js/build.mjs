// Bundles for letta_nb/static: widget.js (anywidget), frozen.js and loader.js (saved outputs), more.js (what either asks
// for later) and compare.js. Same source, same bytes.
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";
import { ownNames } from "./mangle.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.LNB_OUT ?? join(here, "../letta_nb/static");
const { NAMES, SHORT } = ownNames(join(here, "src"));
const LIMIT = 40_000;
const TARGET = 20_000;

/** Sections of style.css that dress nothing in a comparison. */
const NOT_COMPARED = ["time axis, scrubber", "tabs"];

/** A style without its sections of these names; `/* ---------- name ---------- *\/` stands above each. */
function without(names, text) {
  let left = text;
  for (const name of names) {
    const [before, after] = left.split(`/* ---------- ${name} ---------- */`);
    if (after === undefined) throw new Error(`style.css has no section "${name}"`);
    left = before + after.slice(after.indexOf("/* ----------"));
  }
  return left;
}

/** CSS is imported as text and stands in a shadow root. */
const css = (dropped) => ({
  name: "css",
  setup(b) {
    b.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const text = readFileSync(path, "utf8");
      const made = await build({
        stdin: { contents: path.endsWith("style.css") ? without(dropped, text) : text, loader: "css" },
        minify: true,
        write: false,
        target: "chrome110",
        logLevel: "error",
      });
      return { contents: made.outputFiles[0].text.trim(), loader: "text" };
    });
  },
});

/** The names that `shared.ts` imports, by file. */
const SHARED = new Map(
  [...readFileSync(join(here, "src/shared.ts"), "utf8").matchAll(/^import \{ (.*) \} from "\.\/(.*)";$/gm)].map(
    ([, names, path]) => [join(here, "src", `${path}.ts`), names],
  ),
);

/** In the code that comes later, what they name stands as what is passed to it. */
const shared = {
  name: "shared",
  setup(b) {
    b.onLoad({ filter: /\.ts$/ }, ({ path }) =>
      SHARED.has(path)
        ? { contents: `export const {${SHARED.get(path)}} = document.currentScript.lnbShared;`, loader: "js" }
        : null,
    );
  },
};

// the short names of our own members: the same in all bundles, which pass objects to each other
let members = {};

async function bundle(name, format) {
  const made = await build({
    absWorkingDir: here,
    entryPoints: [`src/${name}.ts`],
    bundle: true,
    minifySyntax: true,
    format,
    target: "es2022",
    charset: "ascii",
    legalComments: "none",
    write: false,
    plugins: [css(name === "compare" ? NOT_COMPARED : []), ...(name === "more" ? [shared] : [])],
    logLevel: "warning",
  });
  const nameCache = { props: members };
  const { code } = await minify(made.outputFiles[0].text, {
    module: format === "esm",
    ecma: 2022,
    compress: {
      unsafe: true,
      unsafe_arrows: true,
      pure_getters: true,
      pure_funcs: ["console.assert"],
      // what gzip makes less of: 300 B
      hoist_funs: true,
      lhs_constants: false,
      inline: 1,
    },
    mangle: { properties: { regex: NAMES, reserved: SHORT } },
    format: { ascii_only: true },
    nameCache,
  });
  members = nameCache.props;
  return `${code}\n`;
}

function check(name, text) {
  const size = gzipSync(text, { level: 9 }).length;
  console.log(`${name.padEnd(10)} ${String(text.length).padStart(7)} B  ${String(size).padStart(6)} B gzip`);
  if (size > LIMIT) throw new Error(`${name} is over ${LIMIT} B gzip`);
  if (size > TARGET) console.warn(`${name} is over the target of ${TARGET} B gzip`);
  if (/innerHTML|\beval\(|new Function|\bfetch\(|XMLHttpRequest/.test(text))
    throw new Error(`${name} holds what it must not`);
  if (name === "more.js") {
    const named = (lists) => lists.flatMap((names) => names.split(/, ?/)).length;
    const used = [...text.matchAll(/\{([^{}]*)\}=document\.currentScript\.lnbShared/g)].map(([, names]) => names);
    if (named(used) !== named([...SHARED.values()])) throw new Error(`shared.ts names what ${name} does not use`);
  }
  if (name === "loader.js") {
    if (text.includes("</") || text.includes("<!--")) throw new Error("loader.js cannot stand inside <script>");
    for (const word of ["__CODE__", "__MORE__", "__DATA__", "__RAW__"]) {
      if (text.split(word).length !== 2) throw new Error(`loader.js must hold ${word} once`);
    }
  }
}

await mkdir(out, { recursive: true });
for (const [name, format] of [
  ["widget", "esm"],
  ["frozen", "iife"],
  ["more", "iife"],
  ["compare", "iife"],
  ["loader", "iife"],
]) {
  const text = await bundle(name, format);
  check(`${name}.js`, text);
  await writeFile(join(out, `${name}.js`), text);
}
