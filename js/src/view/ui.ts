/** What the reader opened, chose and looks for: of one run, kept for all its outputs in a page, of whatever version. */

export type Group = "reasoning" | "tools" | "answers";

export interface Sought {
  /** the bar is there */
  open: boolean;
  query: string;
  /** the match that the reader is at, from 0 */
  at: number;
  /** groups of entries that are not shown */
  readonly hidden: Set<Group>;
  tool: string;
  errors: boolean;
  slow: boolean;
}

export const unsought = (): Sought => ({
  open: false,
  query: "",
  at: 0,
  hidden: new Set(),
  tool: "",
  errors: false,
  slow: false,
});

/** What is filtered, open and seen of the raw events. */
export interface Looked {
  words: string;
  /** the type that is shown; "": all */
  type: string;
  fold: boolean;
  /** lines of the row that one is at, and of the one that is open (none: -1) */
  at: number;
  open: number;
  /** how far the list is scrolled, px */
  top: number;
}

export type Pane = "transcript" | "raw" | "memory" | "context";

/** What the reader opened and chose, kept by run so that a second view, and the saved output, show the same. */
export interface Ui {
  readonly open: Map<string, boolean>;
  all: boolean | null;
  full: boolean;
  /** steps of the middle of a long run that were asked for */
  readonly middle: Set<number>;
  pane: Pane;
  /** the part of the time axis that is shown, ms; null: all of it */
  zoom: readonly [from: number, to: number] | null;
  speed: number;
  sought: Sought;
  readonly raw: Looked;
  /** the event that told of the failure is to be shown */
  failure: boolean;
  /** how far the transcript is scrolled, px; infinite: to its end */
  top: number;
  /** what had the focus when it went, and what was selected in it */
  left: { name: string; from: number | null; to: number | null; at: number; by: unknown } | null;
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

type Shared = typeof globalThis & { [key: symbol]: Map<string, Ui> | undefined };

export function uiOf(uid: string): Ui {
  const shared = globalThis as Shared;
  // another number when `Ui` changes: outputs of other versions share the page
  const key = Symbol.for("letta_nb.ui.5");
  shared[key] ??= new Map();
  const known = shared[key];
  let ui = uid ? known.get(uid) : undefined;
  if (!ui) {
    ui = {
      open: new Map(),
      all: null,
      full: false,
      middle: new Set(),
      pane: "transcript",
      zoom: null,
      speed: 1,
      sought: unsought(),
      raw: { words: "", type: "", fold: true, at: 0, open: -1, top: 0 },
      failure: false,
      top: 0,
      left: null,
      stopped: null,
      reasons: new Map(),
      answers: new Map(),
    };
    if (uid) known.set(uid, ui);
  }
  return ui;
}
