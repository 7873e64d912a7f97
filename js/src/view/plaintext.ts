/** The transcript as plain text, for the clipboard. */

import { waits } from "../phases";
import type { Entry, Store } from "../store";
import { failed, fate, stdoutOf } from "./call";

const WORDS: Partial<Record<Entry["kind"], string>> = {
  user: "You",
  system: "System",
  reasoning: "Reasoning",
  assistant: "Answer",
  summary: "Summary",
  hidden_reasoning: "Reasoning hidden by the provider",
  compaction: "Context compacted",
};

const indented = (text: string): string => text.trimEnd().replace(/\n/g, "\n  ");

export function entryText(store: Store, entry: Entry): string {
  if (entry.kind !== "tool_call") {
    const word = WORDS[entry.kind] ?? entry.messageType;
    return entry.text ? `${word}: ${indented(entry.text)}` : word;
  }
  const { facts } = entry;
  const lines = [`${facts.name || "tool"} ${entry.text}`];
  const answer = waits(entry) ? "needs your approval" : fate(store, entry);
  if (answer) lines.push(`  ${answer}`);
  if (entry.returned) lines.push(`  ${failed(entry) ? "error" : "result"}: ${indented(facts.result ?? "")}`);
  if (stdoutOf(entry)) lines.push(`  stdout: ${indented(stdoutOf(entry))}`);
  const stderr = (facts.stderr ?? []).join("");
  if (stderr) lines.push(`  stderr: ${indented(stderr)}`);
  return lines.join("\n");
}

export function transcriptText(store: Store): string {
  let step: number | null = null;
  const lines: string[] = [];
  for (const entry of store.entries) {
    if (entry.step !== null && entry.step !== step) lines.push("", `Step ${entry.step + 1}`);
    step = entry.step;
    lines.push(entryText(store, entry));
  }
  return `${lines.join("\n").trim()}\n`;
}
