import { readdirSync, readFileSync } from "node:fs";
import axe from "axe-core";
import { expect } from "vitest";
import { mount } from "../src/frozen";
import type { Outside } from "../src/outside";
import type { Batch, Change, Snapshot, ToKernel } from "../src/page.gen";
import { Store } from "../src/store";
import type { More } from "../src/view/context";
import { View } from "../src/view/view";

const folder = process.env.LNB_FIXTURES ?? "fixtures";
export const names = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(".json", ""));
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
    batches.push({ seq: batches.length + 1, changes: changes.slice(at, at + size) });
    at += size;
  }
  return batches;
}

function tear(change: Change, roll: () => number): Change[] {
  if (change.op || !change.marks) return [change];
  const parts: Change[] = [];
  let from = 0;
  let marks: number[] = [];
  for (let n = 0; n < change.marks.length; n += 2) {
    const [at, to] = [change.marks[n] as number, change.marks[n + 1] as number];
    marks.push(at, to - from);
    if (n + 2 < change.marks.length && roll() < 0.5) continue;
    const { entry } = change;
    const piece = { entry, text: change.text.slice(from, to) } as const;
    // a piece with one mark is told in short
    parts.push(marks.length === 2 ? { ...piece, at } : { ...piece, marks });
    [from, marks] = [to, []];
  }
  return parts;
}

/** The changes that a page would have been sent by a moment: another way to the same state. */
export function upTo(snapshot: Snapshot, ms: number): Change[] {
  const cut = (change: Change): Change[] => {
    if (change.op) return change.at !== null && change.at <= ms ? [change] : [];
    const marks = change.marks ?? (change.at === undefined ? [] : [change.at, change.text.length]);
    const kept = marks.filter((_, n) => (marks[n - (n % 2)] as number) <= ms);
    const { entry } = change;
    return kept.length ? [{ entry, text: change.text.slice(0, kept.at(-1)), marks: kept }] : [];
  };
  return snapshot.changes.flatMap(cut);
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

export const more = (): Promise<More> => import("../src/more").then((its) => its.more);

/** A saved output in the page: a run, and its run file if it holds one. */
export function saved(snapshot: Snapshot, raw: (() => Promise<string>) | null = null): HTMLElement {
  // unlike a browser, this page's DOM lets what has gone keep the focus
  const other = document.body.appendChild(document.createElement("button"));
  other.focus();
  other.blur();
  other.remove();
  const output = document.createElement("div");
  const bare = document.createElement("div");
  bare.className = "lnb-bare";
  output.append(bare);
  document.body.append(output);
  mount(output, snapshot, more, raw);
  return output;
}

/** The view of a run that goes on, of whose kernel only the code that comes later is asked. */
export function live(
  sent: ToKernel[] = [],
  uid = `live-${++shownPanes}`,
): { store: Store; root: ShadowRoot; end: () => void } {
  const store = new Store();
  const raw = { lines: [], complete: false, problem: null, ask: () => {} };
  const outside: Outside = { send: (words) => void sent.push(words), raw, more, text: async () => null };
  const el = document.body.appendChild(document.createElement("div"));
  const life = new AbortController();
  const view = new View(el, store, outside, life.signal, uid);
  return { store, root: view.host.shadowRoot as ShadowRoot, end: () => life.abort() };
}

/** Opens the search bar of a view, which comes when it is first asked for. */
export async function searching(root: ShadowRoot): Promise<HTMLInputElement> {
  const input = (): HTMLInputElement | null => root.querySelector(".find input");
  press(root, "/");
  await expect.poll(() => input() !== null && root.activeElement === input()).toBe(true);
  return input() as HTMLInputElement;
}

let shownPanes = 0;

/** A saved run with more told of it, at the pane that a key opens. */
export async function paneOf(name: string, key: string, more: Change[]): Promise<ShadowRoot> {
  const uid: Change = { op: "run", at: 0, set: { uid: `pane-${++shownPanes}` } };
  const root = rootOf(saved({ ...load(name), changes: [...load(name).changes, uid, ...more] }));
  press(root, key);
  await expect.poll(() => seen(root, "[role=tabpanel]").map(textOf).join("")).not.toMatch(/^(One moment)?$/);
  return root;
}

/** What is seen: the test page lays nothing out, but it knows what is hidden. */
export const seen = <T extends HTMLElement>(root: ParentNode, selector: string): T[] =>
  [...root.querySelectorAll<T>(selector)].filter((its) => !its.closest("[hidden]"));

export function press(root: ShadowRoot, key: string, on: Element | null = root.querySelector(".lnb")): void {
  on?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }));
}

/** The text that is seen. */
export function textOf(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return node.nodeValue ?? "";
  if ((node as HTMLElement).hidden) return "";
  return [...node.childNodes].map(textOf).join("");
}

/** What a screen reader's user would stumble over. Landmarks are the host's, and nothing is painted here. */
export async function complaints(): Promise<string[]> {
  const rules = { region: { enabled: false }, "color-contrast": { enabled: false } };
  const { violations } = await axe.run(document.body, { rules });
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}
