/** What a view reaches beyond its own data: the kernel of a live run, or what else a saved output holds. */

import type { ToKernel, Told } from "./page.gen";
import type { More } from "./view/context";

/** The run file's lines, as far as the page has them. */
export interface RawSource {
  readonly lines: readonly string[];
  /** no more will come of what was asked for */
  readonly complete: boolean;
  /** a sentence for the reader, where there are none */
  readonly problem: string | null;
  ask(): void;
}

export interface Outside {
  /** null: nobody listens, this is a saved output */
  readonly send: ((words: ToKernel) => void) | null;
  readonly raw: RawSource;
  /** code that is not here yet */
  more(): Promise<More>;
  /** the whole run file, or the run as a page; null where it cannot be had */
  text(what: "file" | "html"): Promise<string | null>;
}

/** Runs code that was kept as text, and takes what it gives. */
export function run(code: string): Promise<More> {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { lnbMore: resolve, textContent: code });
    document.head.append(script);
    script.remove();
    reject(new Error("code could not be run here"));
  });
}

const TOO_LARGE = "This run is too large to keep its raw events here; run.events has them.";
const UNHEARD_MS = 3000;
const EVERY_MS = 500;

/** A saved output: the run file is packed beside the view, and unpacked when it is asked for. */
export class Saved implements Outside {
  readonly send = null;
  readonly raw: RawSource;
  private file: Promise<string> | null = null;

  constructor(
    private readonly code: () => Promise<More>,
    private readonly unpack: (() => Promise<string>) | null,
    private readonly page: () => string | null,
    changed: () => void,
  ) {
    const missing = unpack ? null : TOO_LARGE;
    const raw = { lines: [] as string[], complete: !unpack, problem: missing as string | null, ask: () => {} };
    let asked = false;
    raw.ask = () => {
      if (asked || !unpack) return;
      asked = true;
      this.file ??= unpack();
      this.file
        .then((text) => {
          raw.lines = text.split("\n").filter(Boolean);
        })
        .catch(() => {
          raw.problem = "The raw events of this output cannot be read.";
        })
        .finally(() => {
          raw.complete = true;
          changed();
        });
    };
    this.raw = raw;
  }

  private loaded: Promise<More> | null = null;

  more(): Promise<More> {
    this.loaded ??= this.code();
    return this.loaded;
  }

  async text(what: "file" | "html"): Promise<string | null> {
    if (what === "html") return this.page();
    if (!this.unpack) return null;
    this.file ??= this.unpack();
    return this.file.catch(() => null);
  }
}

/** A live run: the kernel is asked, and tells. */
export class Kernel implements Outside {
  readonly raw: { lines: string[]; complete: boolean; problem: null; ask(): void };
  private asked = Number.NEGATIVE_INFINITY;
  private answered = true;
  private later = 0;
  private readonly waiting = new Map<string, (text: string | null) => void>();

  constructor(
    readonly send: (words: ToKernel) => void,
    private readonly running: () => boolean,
    private readonly changed: () => void,
  ) {
    this.raw = { lines: [], complete: false, problem: null, ask: () => this.askRaw() };
  }

  /** One question at a time, and not at every event; again if it went unheard. */
  private askRaw(): void {
    const { raw } = this;
    const pause = this.answered ? EVERY_MS : UNHEARD_MS;
    const left = this.asked + pause - performance.now();
    if (raw.complete) return;
    if (left > 0) {
      // who draws is told to ask again: nothing else may happen any more
      this.later ||= window.setTimeout(() => {
        this.later = 0;
        this.changed();
      }, left);
      return;
    }
    this.asked = performance.now();
    this.answered = false;
    this.send({ type: "ask", what: "raw", have: raw.lines.length });
  }

  /** True: it was for us. */
  heard(words: unknown): boolean {
    const told = words as Told | null;
    if (!Array.isArray(told?.lines)) return false;
    if (told.what === "raw") this.told(told);
    else {
      this.waiting.get(told.what)?.(told.lines[0] ?? null);
      this.waiting.delete(told.what);
    }
    return true;
  }

  private told({ have, lines, more }: Told): void {
    const { raw } = this;
    // another page's answer
    if (have > raw.lines.length) return;
    const fresh = lines.slice(raw.lines.length - have);
    for (const line of fresh) raw.lines.push(line);
    this.answered = true;
    clearTimeout(this.later);
    this.later = 0;
    raw.complete = !more && !fresh.length && !this.running();
    if (more) this.asked = Number.NEGATIVE_INFINITY;
    this.changed();
  }

  private loaded: Promise<More> | null = null;

  more(): Promise<More> {
    this.loaded ??= this.text("more").then((code) => run(code ?? ""));
    return this.loaded;
  }

  text(what: "file" | "html" | "more"): Promise<string | null> {
    return new Promise((resolve) => {
      this.waiting.get(what)?.(null);
      this.waiting.set(what, resolve);
      this.send({ type: "ask", what, have: 0 });
    });
  }
}
