/** The live view: an anywidget. State is kept by run, because a model is another object in each callback. */

import { Kernel } from "./outside";
import type { Batch, Snapshot, ToKernel } from "./page.gen";
import { Store } from "./store";
import { View } from "./view/view";

interface Model {
  get(name: "uid"): string;
  get(name: "snapshot"): Snapshot | null;
  on(event: string, callback: (words: unknown) => void): void;
  off(event: string, callback: (words: unknown) => void): void;
  send(words: ToKernel): void;
}

interface Run {
  readonly store: Store;
  /** who draws it, and so hears what the kernel told */
  readonly views: Set<View>;
  readonly kernel: Kernel;
  /** the latest: a model is another object in each callback */
  model: Model;
  /** who listens to the kernel for this store: one, however many views there are */
  feeds: number;
}

const runs = new Map<string, Run>();

function runOf(model: Model): Run {
  const uid = model.get("uid") || "";
  let run = runs.get(uid);
  if (!run) {
    const views = new Set<View>();
    const store = new Store();
    const changed = (): void => {
      for (const view of views) view.later();
    };
    const kernel = new Kernel(
      (words) => run?.model.send(words),
      () => store.running || store.paused,
      changed,
    );
    run = { store, views, kernel, model, feeds: 0 };
    runs.set(uid, run);
  }
  run.model = model;
  return run;
}

const isBatch = (words: unknown): words is Batch => Array.isArray((words as Batch | null)?.changes);

function feed(model: Model, run: Run, signal: AbortSignal): void {
  const { store } = run;
  const ask = (): void => model.send({ type: "resync", have: store.seq });
  const heard = (words: unknown): void => {
    if (run.kernel.heard(words)) return;
    if (isBatch(words) && store.receive(words)) ask();
  };
  const snapshot = (): void => {
    const state = model.get("snapshot");
    if (state && store.adopt(state)) ask();
  };
  model.on("msg:custom", heard);
  model.on("change:snapshot", snapshot);
  run.feeds++;
  signal.addEventListener("abort", () => {
    model.off("msg:custom", heard);
    model.off("change:snapshot", snapshot);
    run.feeds--;
  });
  snapshot();
}

interface Props {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** A signal of our own where the host gives none, and what ends it. */
function lifetime(signal: AbortSignal | undefined): { signal: AbortSignal; end: () => void } {
  const own = new AbortController();
  signal?.addEventListener("abort", () => own.abort());
  return { signal: own.signal, end: () => own.abort() };
}

function initialize({ model, signal }: Omit<Props, "el">): () => void {
  const life = lifetime(signal);
  const run = runOf(model);
  feed(model, run, life.signal);
  // what came while this code was on its way went unheard
  if (run.store.running) model.send({ type: "resync", have: run.store.seq });
  return life.end;
}

function render({ model, el, signal }: Props): () => void {
  const life = lifetime(signal);
  const run = runOf(model);
  if (run.feeds === 0) feed(model, run, life.signal);
  const view = new View(el, run.store, run.kernel, life.signal, model.get("uid"));
  // what stands beside it for later hides meanwhile
  el.className += ` lnb-live-${model.get("uid")}`;
  run.views.add(view);
  life.signal.addEventListener("abort", () => run.views.delete(view));
  return life.end;
}

export default { initialize, render };
