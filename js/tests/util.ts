import { readdirSync, readFileSync } from "node:fs";
import type { Batch, Change, Snapshot } from "../src/page.gen";

const folder = process.env.LNB_FIXTURES ?? "fixtures";
export const names = readdirSync(folder).map((file) => file.replace(".json", ""));
export const load = (name: string): Snapshot => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8")) as Snapshot;

/** A reproducible random number in 0..1. */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** The snapshot's changes, texts torn at random, in numbered batches of random size. */
export function torn(snapshot: Snapshot, roll: () => number): Batch[] {
  const changes = snapshot.changes.flatMap((change) => tear(change, roll));
  const batches: Batch[] = [];
  for (let at = 0; at < changes.length; ) {
    const size = 1 + Math.floor(roll() * 6);
    batches.push({ seq: batches.length + 1, now: snapshot.now, changes: changes.slice(at, at + size) });
    at += size;
  }
  return batches;
}

function tear(change: Change, roll: () => number): Change[] {
  if (change.op !== "text" || !change.marks.length) return [change];
  const parts: Change[] = [];
  let from = 0;
  let marks: number[] = [];
  for (let n = 0; n < change.marks.length; n += 2) {
    const [at, to] = [change.marks[n] as number, change.marks[n + 1] as number];
    marks.push(at, to - from);
    if (n + 2 < change.marks.length && roll() < 0.5) continue;
    parts.push({ ...change, text: change.text.slice(from, to), marks });
    [from, marks] = [to, []];
  }
  return parts;
}

export interface FakeModel {
  sent: unknown[];
  snapshot: Snapshot | null;
  emit(event: string, words?: unknown): void;
  listeners(): number;
  model: never;
}

/** What anywidget hands over; `model` is a fresh object each time, as there. */
export function fakeModel(uid: string, snapshot: Snapshot | null = null): FakeModel {
  const heard = new Map<string, Set<(words: unknown) => void>>();
  const of = (event: string) => heard.get(event) ?? heard.set(event, new Set()).get(event)!;
  const fake = {
    sent: [] as unknown[],
    snapshot,
    emit: (event: string, words?: unknown) => {
      for (const its of [...of(event)]) its(words);
    },
    listeners: () => [...heard.values()].reduce((sum, its) => sum + its.size, 0),
  } as FakeModel;
  Object.defineProperty(fake, "model", {
    get: () => ({
      get: (key: string) => (key === "uid" ? uid : fake.snapshot),
      on: (event: string, callback: (words: unknown) => void) => of(event).add(callback),
      off: (event: string, callback: (words: unknown) => void) => of(event).delete(callback),
      send: (words: unknown) => fake.sent.push(words),
    }),
  });
  return fake;
}

export const frame = (): Promise<void> => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 5)));
export const rootOf = (el: Element, n = 0): ShadowRoot => el.querySelectorAll(".lnb-host")[n]?.shadowRoot as ShadowRoot;
