import { afterEach, expect, it, vi } from "vitest";
import { Store } from "../src/store";
import { clockOf } from "../src/view/clock";

afterEach(() => vi.restoreAllMocks());

it.each([4, 0.5])("a replay's clock runs on at its own speed between two batches: %d", (speed) => {
  let page = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => page);
  const store = new Store();
  store.adopt({ seq: 0, now: 0, speed, changes: [{ op: "run", at: 0, set: { status: "running" } }] });
  const clock = clockOf(store);
  const seen: number[] = [];
  let seq = 0;
  for (const wait of [100, 3000, 200]) {
    page += wait;
    seen.push(clock.now(true));
    // told a little late, as any batch is
    page += 10;
    store.receive({ seq: ++seq, changes: [{ op: "run", at: (page - 1010) * speed, set: {} }] });
  }
  expect(seen).toEqual([100 * speed, 3110 * speed, 3320 * speed]);
});
