import { describe, expect, it } from "vitest";
import { Store } from "../src/store";
import { dice, load, names, torn, upTo } from "./util";

const state = ({ head, entries, steps, stopAt, usageAt }: Store) =>
  JSON.parse(JSON.stringify({ head, entries, steps, stopAt, usageAt })) as unknown;

/** What a reader sees of a moment: all but what a store keeps for other moments, and figures that come later. */
function seen({ entries, steps, head, stopAt, usageAt }: Store): unknown {
  const LATER = ["duration", "duration_source", "at_most"];
  const shown = entries.map(({ kind, text, firstAt, lastAt, returned, facts }) => {
    const known = Object.entries(facts).filter(([name]) => !LATER.includes(name));
    return { kind, text, firstAt, lastAt, returned, facts: Object.fromEntries(known) };
  });
  const { status, stop_reason, usage, error, ended, cancel } = head;
  const times = steps.map(({ firstAt, lastAt, entries, facts }) => ({
    firstAt,
    lastAt,
    entries: entries.map((entry) => entry.index),
    tokens: facts.input_tokens,
  }));
  const plain = JSON.stringify({ shown, times, stopAt, usageAt, status, stop_reason, usage, error, ended, cancel });
  return JSON.parse(plain) as unknown;
}

function adopted(name: string): Store {
  const store = new Store();
  store.adopt(load(name));
  return store;
}

describe("store", () => {
  it.each(names)("%s: batches, however split, add up to the snapshot", (name) => {
    const whole = state(adopted(name));
    for (let seed = 1; seed <= 5; seed++) {
      const store = new Store();
      for (const batch of torn(load(name), dice(seed))) expect(store.receive(batch)).toBe(false);
      expect(state(store)).toEqual(whole);
    }
  });

  it("asks once for what it missed, and is whole after the snapshot and what came meanwhile", () => {
    const batches = torn(load("multi2_tok_server"), dice(7));
    const store = new Store();
    const asked = batches.map((batch, n) => n !== 2 && n !== 4 && store.receive(batch));
    expect(asked.filter(Boolean)).toHaveLength(1);
    expect([store.lost, store.seq]).toEqual([true, 2]);
    const changes = batches.slice(0, 6).flatMap((batch) => batch.changes);
    expect(store.adopt({ seq: 6, now: 1, changes })).toBe(false);
    expect([store.lost, store.seq]).toEqual([false, batches.length]);
    expect(state(store)).toEqual(state(adopted("multi2_tok_server")));
  });

  it("ignores what is old: batches and snapshots", () => {
    const batches = torn(load("hello_tok"), dice(1));
    const store = new Store();
    for (const batch of batches) store.receive(batch);
    const before = state(store);
    expect(store.receive(batches[0]!)).toBe(false);
    expect(store.adopt({ seq: 1, now: 0, changes: [] })).toBe(false);
    expect(state(store)).toEqual(before);
  });
});

describe("a store at another moment", () => {
  const timed = names.filter((name) => load(name).changes.some((change) => change.op === "open" && change.at !== null));

  it.each(timed)("%s: is what had been told by then, wherever one comes from", (name) => {
    const store = adopted(name);
    const whole = state(store);
    const { times } = store;
    expect(times).toEqual([...times].sort((a, b) => a - b));
    const roll = dice(times.length);
    for (let n = 0; n < 12; n++) {
      const at = (times[Math.floor(roll() * times.length)] ?? 0) + (roll() < 0.5 ? 0 : 0.04);
      store.travel(at);
      const told = new Store();
      told.adopt({ seq: 0, now: at, changes: upTo(load(name), at) });
      expect(seen(store)).toEqual(seen(told));
    }
    store.travel(null);
    expect(state(store)).toEqual(whole);
  });

  it("keeps its entries and steps, so that what is drawn for them stays", () => {
    const store = adopted("multi2_tok_server");
    const [entries, steps] = [[...store.entries], [...store.steps]];
    store.travel(5000);
    expect(store.entries.length).toBeLessThan(entries.length);
    expect(store.entries.every((entry, n) => entry === entries[n])).toBe(true);
    store.travel(null);
    expect([store.entries, store.steps]).toEqual([entries, steps]);
    expect(store.steps.every((step, n) => step === steps[n])).toBe(true);
  });

  it("says what differs from the moment before, and nothing else", () => {
    const store = adopted("multi2_tok_server");
    const told: number[][] = [];
    store.listen(({ all, entries }) => told.push(all ? [-1] : [...entries].sort((a, b) => a - b)));
    const { times } = store;
    const last = times.at(-1) as number;
    store.travel(last);
    store.travel(5000);
    store.travel(5000);
    store.travel(5000.01);
    expect(told[1]?.length).toBeGreaterThan(2);
    expect(told.slice(2)).toEqual([[]]);
  });

  it("shows figures that were fetched later, and counts only what had come", () => {
    const store = adopted("multi2_tok_server");
    const call = store.entries.find((entry) => entry.kind === "tool_call");
    store.travel((call?.facts.returned ?? 0) + 1);
    expect(call?.facts.duration_source).toBe("server");
    expect([store.head.usage, store.head.agent]).toEqual([undefined, store.last.agent]);
    expect(store.later).toBe(3);
  });

  it("takes in what comes meanwhile, and shows it when one is back", () => {
    const snapshot = load("multi2_tok_server");
    const half = Math.floor(snapshot.changes.length / 2);
    const store = new Store();
    store.adopt({ ...snapshot, seq: 0, changes: snapshot.changes.slice(0, half) });
    store.travel(300);
    const before = seen(store);
    store.receive({ seq: 1, changes: snapshot.changes.slice(half) });
    expect(seen(store)).toEqual(before);
    store.travel(null);
    expect(state(store)).toEqual(state(adopted("multi2_tok_server")));
  });
});
