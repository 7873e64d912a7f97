/** What a compaction says of itself. */

import type { Entry } from "../store";
import { count } from "../time";

/** `Context compacted  118,400 to 31,200 tokens` */
export function compacted({ facts }: Entry): string {
  const { tokens_before: before, tokens_after: after, trigger } = facts;
  const known = (its: number | null | undefined): its is number => typeof its === "number";
  const figures = known(before)
    ? `  ${count(before)}${known(after) ? ` to ${count(after)}` : ""} tokens`
    : known(after)
      ? `  to ${count(after)} tokens`
      : "";
  return `Context compacted${figures}${trigger ? `  ${trigger.replaceAll("_", " ")}` : ""}`;
}
