/** What the parts of one view share. */

import type { ToKernel } from "../page.gen";
import type { Store } from "../store";

/** What the reader opened, kept by run so that a second view, and the saved output, show the same. */
export interface Ui {
  readonly open: Map<string, boolean>;
  all: boolean | null;
  full: boolean;
  middle: boolean;
  /** when Stop was pressed, by this page's clock */
  stopped: number | null;
  /** by call: the reason that is being typed, and the answer that was sent and has not been heard of */
  readonly reasons: Map<string, string>;
  readonly answers: Map<string, Sent>;
}

export interface Sent {
  approve: boolean;
  /** by this page's clock */
  at: number;
}

export interface Context {
  readonly store: Store;
  readonly ui: Ui;
  /** a prefix for ids, one a view: ids are unique in its own shadow root only */
  readonly id: string;
  /** null: nobody listens, this is a saved output */
  readonly send: ((words: ToKernel) => void) | null;
  /** ms since the request, by the kernel's clock as far as it told */
  now(): number;
  /** the run goes on, or waits for a person, and somebody listens */
  live(): boolean;
  /** something changed that only the page knows: draw again */
  redraw(): void;
  /** the reader wants no motion */
  calm(): boolean;
  /** open an entry, bring it into view and put the focus on it */
  reveal(entry: number): void;
}

type Shared = typeof globalThis & { [key: symbol]: Map<string, Ui> | undefined };

export function uiOf(uid: string): Ui {
  const shared = globalThis as Shared;
  // another number when `Ui` changes: outputs of other versions share the page
  const key = Symbol.for("letta_nb.ui.2");
  shared[key] ??= new Map();
  const known = shared[key];
  let ui = uid ? known.get(uid) : undefined;
  if (!ui) {
    ui = {
      open: new Map(),
      all: null,
      full: false,
      middle: false,
      stopped: null,
      reasons: new Map(),
      answers: new Map(),
    };
    if (uid) known.set(uid, ui);
  }
  return ui;
}
