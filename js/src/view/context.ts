/** What the parts of one view share. */

import type { Outside } from "../outside";
import type { Lane, Waterfall } from "../phases";
import type { Entry, Store } from "../store";
import type { Scale } from "./scale";
import type { Pane, Ui } from "./ui";

/** A part of the view that is drawn while it is chosen. */
export interface Shown {
  readonly element: HTMLElement;
  update(): void;
}

export interface Menus {
  toggle(): void;
  /** true: it was open */
  close(focus: boolean): boolean;
}

/** Whose lanes a canvas shows. */
export interface PlotOwner {
  readonly card: { open(anchor: Element, content: () => Node[] | null, fraction: number): void; close(): boolean };
  go(lane: Lane): void;
  describe(lane: Lane): HTMLElement[] | null;
}

/** Lanes, in which a part of the time can be drawn out. */
export interface Timed {
  readonly element: HTMLElement;
  readonly grid: HTMLElement;
  readonly scale: Scale | null;
  readonly card: PlotOwner["card"];
  readonly ctx: Context;
}

export interface LanesPlot {
  readonly canvas: HTMLCanvasElement;
  update(lanes: readonly Lane[], scale: Scale): void;
}

/** The search bar: words in the run, and filters. */
export interface Finder {
  readonly element: HTMLElement;
  /** when the entries with matches began */
  readonly times: readonly number[];
  open(): void;
  /** true: it was open */
  close(): boolean;
  update(): void;
  mark(): void;
}

export interface Marks {
  /** `at`: the entry of the current match, and its place within it */
  mark(list: HTMLElement, query: string, at: [entry: number, nth: number] | null): void;
  scrollToCurrent(): void;
}

/** What is played, and where one is in it. */
export interface Played {
  readonly element: HTMLElement;
  /** ms */
  readonly end: number;
  go(at: number): void;
}

export interface Player {
  readonly on: boolean;
  start(): void;
  pause(): void;
  /** `A wait of 42.0 s, shown in 2 s`, while it is */
  hurry(): string;
}

/** See `more.ts`. */
export interface More {
  tokenCard(store: Store): HTMLElement[];
  laneCard(store: Store, fall: Waterfall, lane: Lane): HTMLElement[];
  plot(owner: PlotOwner): LanesPlot;
  /** `down`: a pointer is down already */
  drawOut(timed: Timed, down: PointerEvent | null): void;
  /** puts the hover card where it belongs */
  place(card: HTMLElement, frame: HTMLElement, anchor: Element, fraction: number): void;
  finder(ctx: Context, list: HTMLElement, signal: AbortSignal): Finder;
  player(ctx: Context, played: Played): Player;
  readonly css: string;
  /** what each key does */
  readonly keys: readonly (readonly [keys: string, words: string])[];
  entryText(store: Store, entry: Entry): string;
  menu(ctx: Context, element: HTMLElement, button: HTMLElement): Menus;
  panes(ctx: Context): Record<Exclude<Pane, "transcript">, Shown>;
}

export interface Context {
  readonly store: Store;
  readonly ui: Ui;
  /** a prefix for ids, one a view: ids are unique in its own shadow root only */
  readonly id: string;
  /** null: nobody listens, this is a saved output */
  readonly send: Outside["send"];
  readonly outside: Outside;
  /** ms since the request, by the kernel's clock as far as it told; at an earlier moment, that moment */
  now(): number;
  /** the run goes on, or waits for a person, and somebody listens; not at an earlier moment */
  live(): boolean;
  /** something changed that only the page knows: draw again */
  redraw(): void;
  /** something was drawn that others may have to follow, in the next frame */
  later(): void;
  /** the reader wants no motion */
  calm(): boolean;
  /** open an entry, bring it into view and put the focus on it */
  reveal(entry: number): void;
  /** code that is not here yet, and its style; null: it could not be had, and the reader is told so */
  more(): Promise<More | null>;
  /** it was asked for, and could not be had */
  missing(): boolean;
  /** show the run as it stood at a moment, ms; null: its end */
  travel(moment: number | null): void;
}
