/** What the tokens of a run are made of: as words for a screen reader, and as the hover card. */

import { h } from "../dom";
import type { Usage } from "../page.gen";
import type { Store } from "../store";
import { count } from "../time";

export const DETAIL: readonly [keyof Usage, string][] = [
  ["input_tokens", "in"],
  ["cache_read_input_tokens", "of which cached"],
  ["cache_creation_input_tokens", "of which written to the cache"],
  ["output_tokens", "out"],
  ["reasoning_output_tokens", "of which reasoning"],
  ["context_tokens", "context at the end"],
];

export function tokenCard({ head: { usage } }: Store): HTMLElement[] {
  const table = h("table");
  for (const [name, label] of DETAIL) {
    const value = usage?.[name];
    if (typeof value !== "number") continue;
    const inner = label.startsWith("of which");
    table.append(h("tr", "", h("td"), h("td", inner ? "d" : "", label), h("td", inner ? "d" : "", count(value))));
  }
  if (!usage) return [h("p", "", "The server reports tokens at the end of the run.")];
  return [h("h3", "", h("span", "", "Tokens, as the server reported them")), table];
}
