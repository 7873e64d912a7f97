/** What the reader leaves out of a run. Pure. */

import type { Entry } from "../store";
import { failed } from "./call";
import type { Group, Sought } from "./ui";

export const SLOW_MS = 1000;

const GROUPS: Partial<Record<Entry["kind"], Group>> = {
  reasoning: "reasoning",
  hidden_reasoning: "reasoning",
  tool_call: "tools",
  assistant: "answers",
};

const groupOf = (entry: Entry): Group | null => GROUPS[entry.kind] ?? null;

/** Show a group, or leave it out. */
export const toggle = ({ hidden }: Sought, group: Group): void => void (hidden.delete(group) || hidden.add(group));

/** How long it took, by whoever measured it; null where nobody did. */
function tookMs({ kind, facts, firstAt, lastAt }: Entry): number | null {
  if (kind === "tool_call") return facts.duration ?? null;
  return firstAt === null || lastAt === null ? null : lastAt - firstAt;
}

export const isSlow = (entry: Entry): boolean => (tookMs(entry) ?? 0) >= SLOW_MS;

export const filters = (sought: Sought): boolean =>
  sought.hidden.size > 0 || sought.tool !== "" || sought.errors || sought.slow;

export function passes(sought: Sought, entry: Entry): boolean {
  const group = groupOf(entry);
  if (group && sought.hidden.has(group)) return false;
  if (sought.tool && entry.facts.name !== sought.tool) return false;
  if (sought.errors && !failed(entry)) return false;
  return !sought.slow || isSlow(entry);
}
