/** Two runs in a saved output: the comparison is data on the script's own element, bare HTML of it stands beside it. */

import type { Comparison } from "./page.gen";
import { CompareView } from "./view/compare";

const FAILED = "This output could not be drawn. The comparison below is complete.";

export function mount(output: HTMLElement, data: Comparison): void {
  if (output.querySelector(":scope > .lnb-host")) return;
  const bare = output.querySelector<HTMLElement>(":scope > .lnb-bare");
  try {
    new CompareView(output, data, new AbortController().signal);
    if (bare) bare.style.display = "none";
  } catch (error) {
    console.error("letta_nb", error);
    output.querySelector(":scope > .lnb-host")?.remove();
    const words = document.createElement("p");
    words.textContent = FAILED;
    output.prepend(words);
  }
}

const script = document.currentScript as (HTMLScriptElement & { lnb?: Comparison }) | null;
if (script?.lnb && script.parentElement) mount(script.parentElement, script.lnb);
