/** The phases' one vocabulary of colour and words. */

import { h } from "../dom";
import type { PhaseKind } from "../phases";

/** css class; word in the legend; words in the card and for a screen reader */
export const KINDS: Record<PhaseKind, readonly [cls: string, legend: string, card: string]> = {
  wait: ["wait", "Waiting", "waiting for model"],
  reasoning: ["reason", "Reasoning", "reasoning"],
  arguments: ["args", "Arguments", "tool arguments"],
  queue: ["queue", "", "waiting for the reply's end"],
  tool: ["tool", "Tools", "tool running"],
  failed: ["err", "Failed tool", "failed tool"],
  pending: ["pend", "Waiting for you", "waiting for you"],
  answer: ["answer", "Answer", "answer"],
  unattributed: ["gap", "Unattributed", "unattributed"],
};

export const key = (kind: PhaseKind): HTMLElement => h("i", `key k-${KINDS[kind][0]}`);
