import { describe, expect, it } from "vitest";
import { Store } from "../src/store";
import { dice, load, names, torn } from "./util";

const state = ({ head, entries, steps, stopAt, usageAt }: Store) =>
  JSON.parse(JSON.stringify({ head, entries, steps, stopAt, usageAt })) as unknown;

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
