/** What the reader looks for in a run: the words, and where they are. Pure. */

import { lettered } from "../json";
import { callsOf } from "../phases";
import type { Entry, Store } from "../store";
import { stdoutOf } from "./call";
import { passes } from "./sought";
import type { Sought } from "./ui";

export const everything = (sought: Sought): void => {
  Object.assign(sought, { tool: "", errors: false, slow: false });
  sought.hidden.clear();
};

/** The run's tools by name, with how often each was called. */
export function toolsOf(store: Store): Map<string, number> {
  const found = new Map<string, number>();
  for (const { facts } of store.steps.flatMap(callsOf)) {
    if (facts.name) found.set(facts.name, (found.get(facts.name) ?? 0) + 1);
  }
  return found;
}

/** What of an entry is looked through. */
function textsOf(entry: Entry): string[] {
  const { name, result, stderr, reason } = entry.facts;
  if (entry.kind !== "tool_call") return [entry.text];
  return [
    name ?? "",
    lettered(entry.text),
    reason ?? "",
    lettered(result ?? ""),
    stdoutOf(entry),
    (stderr ?? []).join(""),
  ];
}

/** Letters of both cases, but not those that change their length with their case: a match must keep its place. */
export const plain = (text: string): string => {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
};

export function occurrences(text: string, query: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at + query.length)) found.push(at);
  return found;
}

const counted = new WeakMap<Entry, { query: string; size: number; count: number }>();

/** How often the words occur in an entry; counted anew when it has grown. */
function countIn(entry: Entry, query: string): number {
  const { facts } = entry;
  const parts = [entry.text, facts.result, facts.reason, ...(facts.stdout ?? []), ...(facts.stderr ?? [])];
  const size = parts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  const known = counted.get(entry);
  if (known?.query === query && known.size === size) return known.count;
  const texts = textsOf(entry);
  let count = texts.reduce((sum, text) => sum + occurrences(plain(text), query).length, 0);
  // what a reader sees as `quiet road` may be written as `**quiet** road`
  if (!count && entry.kind === "assistant") count = occurrences(plain(entry.text.replace(/\*\*|`/g, "")), query).length;
  counted.set(entry, { query, size, count });
  return count;
}

/** Entries in which the words occur, and how often. */
export function matches(store: Store, sought: Sought): { entry: Entry; count: number }[] {
  const query = plain(sought.query);
  if (!query) return [];
  return store.entries
    .filter((entry) => passes(sought, entry))
    .map((entry) => ({ entry, count: countIn(entry, query) }))
    .filter(({ count }) => count > 0);
}
