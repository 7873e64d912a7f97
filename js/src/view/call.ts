/** What a tool call says of itself, read off its entry. */

import { type Json, line, parse } from "../json";
import type { Entry, Store } from "../store";
import { time } from "../time";

const WRAPPER = /^Error executing function [^\s:]+: /;
const TRACEBACK = "Traceback (most recent call last)";

export type CallState = "arriving" | "running" | "pending" | "queued" | "returned" | "cut";

export const failed = (entry: Entry): boolean => entry.returned && entry.facts.status === "error";

const isWhole = new WeakMap<Entry, { length: number; whole: boolean }>();

/** Whether the arguments are complete: valid JSON, looked at again only where they end as JSON does. */
function complete(entry: Entry): boolean {
  const known = isWhole.get(entry);
  if (known?.length === entry.text.length) return known.whole;
  let whole = false;
  if (/[}\]]\s*$/.test(entry.text.slice(-40))) {
    try {
      JSON.parse(entry.text);
      whole = true;
    } catch {}
  }
  isWhole.set(entry, { length: entry.text.length, whole });
  return whole;
}

export function callState(store: Store, entry: Entry): CallState {
  if (entry.returned) return "returned";
  if (entry.facts.cut) return "cut";
  const later = store.entries.length - 1 > entry.index;
  const arrived = later || complete(entry) || !store.running;
  if (!arrived) return "arriving";
  if (entry.facts.approval === "pending") return "pending";
  const siblings = entry.step === null ? [] : (store.steps[entry.step]?.entries ?? []);
  if (siblings.some((other) => other.facts.approval === "pending" && !other.returned)) return "queued";
  return store.running ? "running" : "cut";
}

/** A call's time, `≤ 10.6 s` where only a bound is known, "" where nothing is. */
export function took(entry: Entry): string {
  const { duration, at_most } = entry.facts;
  if (duration === null || duration === undefined) return "";
  return (at_most ? "≤ " : "") + time(duration);
}

/** The last line of a failed call's error, without the server's wrapper. */
export function errorLine(entry: Entry): string {
  const text = entry.facts.result || (entry.facts.stderr ?? []).join("");
  const last = text
    .split("\n")
    .filter((its) => its.trim())
    .at(-1);
  return last ? last.trim().replace(WRAPPER, "") : "The tool failed and did not say why.";
}

/** A failed call's result, where it says more than its error line. */
export function resultOf(entry: Entry): string {
  const result = entry.facts.result ?? "";
  if (!failed(entry)) return result;
  const text = result.replace(WRAPPER, "").trim();
  return text === errorLine(entry) ? "" : text;
}

/** stderr in two: what the tool wrote, and the traceback after it. */
export function stderrOf(entry: Entry): { said: string; traceback: string } {
  const all = (entry.facts.stderr ?? []).join("");
  const start = failed(entry) ? all.indexOf(TRACEBACK) : -1;
  return start < 0 ? { said: all, traceback: "" } : { said: all.slice(0, start), traceback: all.slice(start) };
}

export const stdoutOf = (entry: Entry): string => (entry.facts.stdout ?? []).join("");

export type Pair = [key: string, value: string];

/** Arguments as `key value` pairs, for one line; text that is no object stays as it is. */
export function pairs(text: string): Pair[] | null {
  const json = parse(text);
  if (json?.kind !== "object") return null;
  return json.items.slice(0, 12).map(([key, value]) => [JSON.parse(key) as string, oneLine(value)]);
}

function oneLine(json: Json): string {
  const text = line(json, 300);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** A result on one line. */
export function summary(text: string): string {
  const json = parse(text);
  if (json) return oneLine(json);
  return text.slice(0, 600).replace(/\s+/g, " ").trim().slice(0, 300);
}
