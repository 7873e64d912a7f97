/** Two runs in a saved output, for the loader that stands there beside the bare comparison. */

import { instead } from "./instead";
import type { Comparison } from "./page.gen";
import { CompareView } from "./view/compare";

export function mount(output: HTMLElement, data: Comparison): void {
  instead(output, "comparison", () => void new CompareView(output, data, new AbortController().signal));
}

const script = document.currentScript as (HTMLScriptElement & { lnbReady?: (its: typeof mount) => void }) | null;
script?.lnbReady?.(mount);
