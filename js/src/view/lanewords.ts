/** What a lane says of itself to a screen reader, and what it is made of. */

import type { Lane, Phase, PhaseKind } from "../phases";
import { bound, fine, patience, time } from "../time";
import { KINDS } from "./kinds";

export interface Part {
  kind: PhaseKind;
  ms: number;
  source: Phase["source"];
  atMost: boolean;
}

/** The lane's phases, each kind once. */
export function parts(lane: Lane): Part[] {
  const made: Part[] = [];
  for (const { kind, start, end, source, atMost } of lane.phases) {
    const known = made.find((part) => part.kind === kind && part.source === source);
    if (known) known.ms += end - start;
    else made.push({ kind, ms: end - start, source, atMost });
  }
  return made;
}

export const figure = (part: Part): string =>
  part.atMost ? `≤ ${bound(part.ms)}` : part.kind === "pending" ? patience(part.ms) : fine(part.ms);

export function nameOf(lane: Lane): [step: string, label: string] {
  return [`Step ${lane.step + 1}`, lane.label];
}

/** `Step 3, slow_lookup, 4.94 s: waiting for model 51.5 ms, ... tool running 4.77 s by server` */
export function laneLabel(lane: Lane): string {
  const its = parts(lane).map(
    (part) => `${KINDS[part.kind][2]} ${figure(part)}${part.source === "server" ? " by server" : ""}`,
  );
  const name = nameOf(lane).filter(Boolean).join(", ");
  return `${name}, ${time(lane.end - lane.start)}${its.length ? `: ${its.join(", ")}` : ""}${lane.cut ? ", cut" : ""}`;
}
