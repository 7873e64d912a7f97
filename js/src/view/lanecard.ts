/** What a lane says of itself: in the hover card, and to a screen reader. */

import { h } from "../dom";
import type { Lane, Phase, PhaseKind, Waterfall } from "../phases";
import type { Store } from "../store";
import { fine, moment, patience, time } from "../time";
import { KINDS, key } from "./kinds";

interface Part {
  kind: PhaseKind;
  ms: number;
  source: Phase["source"];
  atMost: boolean;
}

/** The lane's phases, each kind once. */
function parts(lane: Lane): Part[] {
  const made: Part[] = [];
  for (const { kind, start, end, source, atMost } of lane.phases) {
    const known = made.find((part) => part.kind === kind && part.source === source);
    if (known) known.ms += end - start;
    else made.push({ kind, ms: end - start, source, atMost });
  }
  return made;
}

const figure = (part: Part): string =>
  (part.atMost ? "≤ " : "") + (part.kind === "pending" ? patience(part.ms) : fine(part.ms));
const ranOut = (lane: Lane, store: Store): boolean => lane.step >= store.steps.length;

function nameOf(lane: Lane): [step: string, label: string] {
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

export function laneCard(store: Store, fall: Waterfall, lane: Lane): HTMLElement[] {
  const [step, label] = nameOf(lane);
  const isTool = lane.entry !== null;
  const table = h("table");
  for (const part of parts(lane)) {
    table.append(
      h(
        "tr",
        "",
        h("td", "", key(part.kind)),
        h("td", "", KINDS[part.kind][2]),
        h("td", "", figure(part)),
        h("td", "", part.source ?? ""),
      ),
    );
    if (part.kind === "wait" && store.head.delivery === "token" && lane.phases.length > 1 && lane.phases[0]) {
      const first = h("td", "first", `first token at ${moment(lane.phases[0].end)}`);
      table.append(h("tr", "", h("td"), first, h("td"), h("td", "", "client")));
    }
  }
  return [
    h(
      "h3",
      "",
      h("span", "", `${step} `, h("span", isTool ? "m b" : "", label)),
      h("span", "", time(lane.end - lane.start)),
    ),
    table,
    h("p", "", closing(store, fall, lane)),
  ];
}

function closing(store: Store, fall: Waterfall, lane: Lane): string {
  const span = `${moment(lane.start)} to ${moment(lane.end)}.`;
  if (lane.phases.some((phase) => phase.atMost)) {
    const together = fall.lanes.filter((its) => its.step === lane.step && its.phases.some((phase) => phase.atMost));
    if (together.length === 1) return `${span} The tool ran somewhere between the answer and its return.`;
    const longest = store.steps[lane.step]?.facts.tool_ms;
    const server = typeof longest === "number" ? `; the server's longest was ${time(longest)}` : "";
    return `${span} ${together.length} calls returned together. The wire does not say how long each one took${server}.`;
  }
  if (ranOut(lane, store)) return `${span} Nothing arrived in it.`;
  const server = lane.phases.some((phase) => phase.source === "server");
  const unknown = lane.phases.some((phase) => phase.kind === "unattributed");
  if (store.head.delivery === "step" && !server)
    return `${span} The server sent the step whole: only its arrival was timed.`;
  if (server) {
    const what =
      store.head.delivery === "step"
        ? "The server timed its parts"
        : "The server timed the tool; all else is arrival time";
    return `${span} ${what}.${unknown ? " What neither explains is unattributed." : ""}`;
  }
  return `${span} All by arrival time.${unknown ? " What it does not explain is unattributed." : ""}`;
}
