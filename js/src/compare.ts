/** Two runs in a saved output: the comparison is data on the script's own element, bare HTML of it stands beside it. */

import { instead } from "./instead";
import type { Comparison } from "./page.gen";
import { CompareView } from "./view/compare";

export function mount(output: HTMLElement, data: Comparison): void {
  instead(output, "comparison", () => void new CompareView(output, data, new AbortController().signal));
}

const script = document.currentScript as (HTMLScriptElement & { lnb?: Comparison }) | null;
if (script?.lnb && script.parentElement) mount(script.parentElement, script.lnb);
