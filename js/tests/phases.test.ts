import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { waterfall } from "../src/phases";
import { Store } from "../src/store";
import { load, names } from "./util";

const path = process.env.LNB_GOLDEN ?? "../tests/fixtures/phases.json";
const golden = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, Golden>) : {};

interface Golden {
  end: number;
  lanes: (Record<string, unknown> & { phases: [string, number, number, ...unknown[]][] })[];
  totals: Record<string, number>;
  at_most: string[];
}

/** Figures are rounded to 0.1 ms on both sides, some before they are subtracted; a total adds up one such error a lane. */
function near(mine: unknown, theirs: unknown, path = ""): void {
  if (typeof theirs === "number") {
    expect(mine, path).toBeTypeOf("number");
    expect(Math.abs((mine as number) - theirs), path).toBeLessThan(path.startsWith(".totals") ? 1 : 0.35);
  } else if (theirs !== null && typeof theirs === "object") {
    expect(Object.keys(mine as object), path).toEqual(Object.keys(theirs));
    for (const [key, value] of Object.entries(theirs))
      near((mine as Record<string, unknown>)[key], value, `${path}.${key}`);
  } else expect(mine, path).toEqual(theirs);
}

/** Shorter than what rounding takes or adds: either side may not have it. */
const LEAST = 0.25;

function lasting(data: Golden): Golden {
  const lanes = data.lanes.map((lane) => ({
    ...lane,
    phases: lane.phases.filter(([, from, to]) => to - from > LEAST),
  }));
  return { ...data, lanes, totals: Object.fromEntries(Object.entries(data.totals).filter(([, ms]) => ms > LEAST)) };
}

const shared = names.filter((name) => golden[name]);

it("has the golden file's runs", () => expect(shared.length).toBeGreaterThan(20));

it.each(shared)("%s: the waterfall that Python draws", (name) => {
  const store = new Store();
  store.adopt(load(name));
  const { end, lanes, totals, atMost } = waterfall(store, store.now);
  const drawn = lanes.map(({ step, label, first, entry, cut, start, end, phases }) => {
    const its = phases.map(
      (phase) =>
        [phase.kind, phase.start, phase.end, phase.source, phase.atMost] as [string, number, number, ...unknown[]],
    );
    return { step, label, first, entry, cut, start, end, phases: its };
  });
  const mine: Golden = { end, lanes: drawn, totals: Object.fromEntries(totals), at_most: [...atMost].sort() };
  near(lasting(mine), lasting(golden[name] as Golden));
});
