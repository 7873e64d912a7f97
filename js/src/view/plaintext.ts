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

/** What one would type to send this again. A string of JSON is a string of Python. */
export function pythonText(store: Store): string {
  const { agent, model, server } = store.last;
  const prompt = store.entries.filter((entry) => entry.kind === "user" && entry.step === null).map(({ text }) => text);
  const to = agent ? `, agent=${JSON.stringify(agent)}` : "";
  const lines = ["import letta_nb", ""];
  // the scripted demo is what answers without a server, at another address each time
  if (server && /^https?:/.test(server) && model !== "scripted") {
    lines.push(`letta_nb.connect(${JSON.stringify(server)})`);
  }
  lines.push(`run = letta_nb.send(${JSON.stringify(prompt.join("\n\n"))}${to})`);
  return `${lines.join("\n")}\n`;
}
