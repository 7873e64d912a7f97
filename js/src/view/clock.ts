/** The kernel's clock as the page knows it: told with each batch, and running on between them. */

import type { Store } from "../store";

export interface Clock {
  now(live: boolean): number;
  /** ms since the kernel last told anything */
  quiet(): number;
}

const clocks = new WeakMap<Store, Clock>();

/** One a store, so that a second view agrees with the first. */
export function clockOf(store: Store): Clock {
  let clock = clocks.get(store);
  if (clock) return clock;
  // the page's clock, as fast as the kernel's, less that: the batch that was soonest here tells it best
  let offset = Number.POSITIVE_INFINITY;
  let heard = performance.now();
  const hear = (): void => {
    heard = performance.now();
    if (store.now !== null) offset = Math.min(offset, heard * store.speed - store.now);
  };
  hear();
  store.listen(hear);
  clock = {
    now: (live) => {
      const ended = store.head.ended ?? null;
      // a person who is waited for takes time after the end of what was streamed
      const goes = live && (store.running || store.paused);
      if (ended !== null && !goes) return ended;
      const told = Math.max(store.now ?? 0, ended ?? 0);
      return goes && Number.isFinite(offset) ? Math.max(told, performance.now() * store.speed - offset) : told;
    },
    quiet: () => performance.now() - heard,
  };
  clocks.set(store, clock);
  return clock;
}
