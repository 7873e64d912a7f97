/** What a tool call says of itself, read off its entry. */

import { type Json, line, parse, unquoted } from "../json";
import { answeredAt, arriving, callsOf, startOf, waits } from "../phases";
import type { Entry, Store } from "../store";
import { bound, patience, time } from "../time";

const WRAPPER = /^Error executing function [^\s:]+: /;
const TRACEBACK = "Traceback (most recent call last)";

/**
 * arriving: its arguments; held: until the reply is over; pending: until a person answers; queued: until the other calls
 * are answered; answered: and not yet sent, or not yet begun; running: on its server, or in this kernel
 */
export type CallState =
  | "arriving"
  | "held"
  | "pending"
  | "queued"
  | "answered"
  | "denied"
  | "running"
  | "returned"
  | "cut";

/** What a person denied did not fail. */
export const failed = (entry: Entry): boolean =>
  entry.returned && entry.facts.status === "error" && entry.facts.approval !== "denied";

export const siblings = (store: Store, entry: Entry): readonly Entry[] => {
  const step = entry.step === null ? undefined : store.steps[entry.step];
  return step ? callsOf(step) : [];
};

export function callState(store: Store, entry: Entry): CallState {
  const { approval, cut, here, started } = entry.facts;
  if (approval === "denied") return "denied";
  if (entry.returned) return "returned";
  if (cut) return "cut";
  if (arriving(store, entry)) return "arriving";
  if (waits(entry)) return "pending";
  const others = siblings(store, entry);
  const paused = store.head.status === "requires_approval";
  if (here && typeof started === "number" && (paused || store.running)) return "running";
  if (paused || others.some(waits)) return approval ? "answered" : "queued";
  if (!store.running) return "cut";
  return others.some((other) => arriving(store, other)) ? "held" : "running";
}

/** When what the row counts began: its waiting for a person, or its tool. */
export function since(store: Store, entry: Entry): number | null {
  if (entry.lastAt === null || waits(entry)) return entry.lastAt;
  return startOf(store, entry, siblings(store, entry), Math.max(entry.lastAt, answeredAt(entry) ?? 0));
}

const REASON_MAX = 48;

/** `approved after 0:42`, `denied: too risky`; "" for a call that nobody was asked about. */
export function fate(store: Store, entry: Entry): string {
  const { approval, here } = entry.facts;
  if (approval !== "approved" && approval !== "denied") return "";
  if (callState(store, entry) === "answered" || approval === "denied") {
    const open = siblings(store, entry).filter(waits).length;
    if (open) return `${approval}; goes on when the other ${open === 1 ? "call is" : `${open} calls are`} answered`;
  }
  const reason = (entry.facts.reason ?? "").replace(/\s+/g, " ").trim();
  const short = reason.length > REASON_MAX ? `${reason.slice(0, REASON_MAX)}…` : reason;
  if (approval === "denied") return short ? `denied: ${short}` : "denied";
  const at = answeredAt(entry);
  if (at !== null && entry.lastAt !== null) return `approved after ${patience(at - entry.lastAt)}`;
  // a function of this kernel that needs no approval
  return here ? "" : "approved";
}

/** A call's time, `≤ 10.6 s` where only a bound is known, "" where nothing is. */
export function took(entry: Entry): string {
  const { duration, at_most } = entry.facts;
  if (duration === null || duration === undefined) return "";
  return at_most ? `≤ ${bound(duration)}` : time(duration);
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
  return json.items.slice(0, 12).map(([key, value]) => [unquoted(key), oneLine(value)]);
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
