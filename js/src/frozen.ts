/** The view in a saved output: the run is data on the script's own element, the bare transcript stands beside it. */

import type { Snapshot } from "./page.gen";
import { Store } from "./store";
import { View } from "./view/view";

const FAILED = "This output could not be drawn. The transcript below is complete.";

export function mount(output: HTMLElement, snapshot: Snapshot): void {
  if (output.querySelector(":scope > .lnb-host")) return;
  const bare = output.querySelector<HTMLElement>(":scope > .lnb-bare");
  try {
    const store = new Store();
    store.adopt(snapshot);
    new View(output, store, null, new AbortController().signal);
    if (bare) bare.style.display = "none";
  } catch (error) {
    console.error("letta_nb", error);
    output.querySelector(":scope > .lnb-host")?.remove();
    const words = document.createElement("p");
    words.textContent = FAILED;
    output.prepend(words);
  }
}

const script = document.currentScript as (HTMLScriptElement & { lnb?: Snapshot }) | null;
if (script?.lnb && script.parentElement) mount(script.parentElement, script.lnb);
