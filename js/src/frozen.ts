/** The view in a saved output, for the loader that stands there beside the bare transcript. */

import { instead } from "./instead";
import { run, Saved } from "./outside";
import type { Snapshot } from "./page.gen";
import { Store } from "./store";
import type { More } from "./view/context";
import { FEW } from "./view/laneheight";
import { View } from "./view/view";

// as in letta_nb/static_html.py: a page that is exported fetches nothing either
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; " +
  "base-uri 'none'; form-action 'none'";
const HEAD =
  `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}">` +
  `<meta name="viewport" content="width=device-width"><title>Letta run</title>` +
  "<style>:root{color-scheme:light dark}body{max-width:1100px;margin:24px auto;padding:0 16px;font:13px/20px system-ui}</style></head><body><main>\n";

type Unpack = () => Promise<string>;

/** The output as a page of its own: what stands in it, without what was drawn. */
function page(output: HTMLElement): string | null {
  const bare = output.querySelector(":scope > .lnb-bare")?.cloneNode(true) as HTMLElement | undefined;
  const script = output.querySelector(":scope > script");
  if (!script) return null;
  bare?.removeAttribute("style");
  return `${HEAD}<div class="lnb-out">${bare?.outerHTML ?? ""}${script.outerHTML}</div>\n</main></body></html>\n`;
}

export function mount(output: HTMLElement, snapshot: Snapshot, more: () => Promise<More>, raw: Unpack | null): void {
  instead(output, "transcript", () => {
    const store = new Store();
    store.adopt(snapshot);
    const outside = new Saved(
      more,
      raw,
      () => page(output),
      () => view.later(),
    );
    // on its way while the rest is drawn: so many lanes are drawn by it
    if (store.steps.length > FEW) outside.more().catch(() => {});
    const view = new View(output, store, outside, new AbortController().signal);
  });
}

type Mount = (output: HTMLElement, snapshot: Snapshot, more: Unpack, raw: Unpack | null) => void;

const script = document.currentScript as (HTMLScriptElement & { lnbReady?: (mount: Mount) => void }) | null;
script?.lnbReady?.((output, snapshot, more, raw) => mount(output, snapshot, () => more().then(run), raw));
