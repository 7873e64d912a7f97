/** The hover card of a lane: its parts with their figures and sources, and who timed what. */

import { h } from "../dom";
import type { Lane, Waterfall } from "../phases";
import type { Store } from "../store";
import { moment, time } from "../time";
import { KINDS, key } from "./kinds";
import { figure, nameOf, parts } from "./lanewords";

const ranOut = (lane: Lane, store: Store): boolean => lane.step >= store.steps.length;

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
