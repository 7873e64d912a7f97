/** What a view reaches beyond its own data: the kernel of a live run, or what else a saved output holds. */

import type { ToKernel, Told } from "./page.gen";
import { shared } from "./shared";
import type { More } from "./view/context";

/** The run file's lines, as far as the page has them. */
export interface RawSource {
  readonly lines: readonly string[];
  /** no more will come of what was asked for */
  readonly complete: boolean;
  /** a sentence for the reader, where there are none */
  readonly problem: string | null;
  /** how many events of these lines had come by a moment, ms: as soon as somebody has read them */
  upTo?(moment: number): number;
  ask(): void;
}

type Asked = "file" | "html" | "more";

export interface Outside {
  /** null: nobody listens, this is a saved output */
  readonly send: ((words: ToKernel) => void) | null;
  readonly raw: RawSource;
  /** code that is not here yet */
  more(): Promise<More>;
  /** the whole run file, or the run as a page; null where it cannot be had */
  text(what: "file" | "html"): Promise<string | null>;
}

/** Runs code that was kept as text, with what it shares with this code, and takes what it gives. */
export function run(code: string): Promise<More> {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), {
      lnbMore: resolve,
      lnbShared: shared,
      textContent: code,
    });
    document.head.append(script);
    script.remove();
    reject(new Error("code could not be run here"));
  });
}

/** The same promise for all who ask; one that failed is forgotten, so that the next who asks tries again. */
function kept<T>(make: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | null = null;
  return () => {
    known ??= make().catch((problem) => {
      known = null;
      throw problem;
    });
    return known;
  };
}

const TOO_LARGE = "This run is too large to keep its raw events here; run.events has them.";
const UNHEARD_MS = 3000;
const WRITTEN_MS = 10_000;
const EVERY_MS = 500;
/** how often a text is asked for, if nobody answers */
const TIMES = 3;

/** A saved output: the run file is packed beside the view, and unpacked when it is asked for. */
export class Saved implements Outside {
  readonly send = null;
  readonly raw: RawSource;
  readonly more: () => Promise<More>;
  private readonly file: () => Promise<string>;

  constructor(
    code: () => Promise<More>,
    private readonly unpack: (() => Promise<string>) | null,
    private readonly page: () => string | null,
    changed: () => void,
  ) {
    this.more = kept(code);
    this.file = kept(async () => (unpack ? unpack() : ""));
    const missing = unpack ? null : TOO_LARGE;
    const raw = { lines: [] as string[], complete: !unpack, problem: missing as string | null, ask: () => {} };
    let asked = false;
    raw.ask = () => {
      if (asked || !unpack) return;
      asked = true;
      this.file()
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

  async text(what: "file" | "html"): Promise<string | null> {
    if (what === "html") return this.page();
    return this.unpack ? this.file().catch(() => null) : null;
  }
}

/** A live run: the kernel is asked, and tells. */
export class Kernel implements Outside {
  readonly raw: RawSource & { lines: string[]; complete: boolean };
  private asked = Number.NEGATIVE_INFINITY;
  private answered = true;
  private later = 0;
  private readonly waiting = new Map<string, (text: string | null) => void>();
  private readonly asks = new Map<Asked, Promise<string | null>>();

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
    else this.waiting.get(told.what)?.(told.lines[0] ?? null);
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

  readonly more = kept(() => this.text("more").then((code) => run(code ?? "")));

  /** Rejected when the kernel does not answer. Who asks for what is asked for already waits with the others. */
  text(what: Asked): Promise<string | null> {
    let its = this.asks.get(what);
    if (!its) {
      its = this.askFor(what).finally(() => {
        this.asks.delete(what);
        this.waiting.delete(what);
      });
      this.asks.set(what, its);
    }
    return its;
  }

  private async askFor(what: Asked): Promise<string | null> {
    // a large file takes a while to write down
    const pause = what === "more" ? UNHEARD_MS : WRITTEN_MS;
    for (let n = 0; n < TIMES; n++) {
      const heard = new Promise<string | null | undefined>((resolve) => {
        this.waiting.set(what, resolve);
        setTimeout(resolve, pause);
      });
      this.send({ type: "ask", what, have: 0 });
      const text = await heard;
      if (text !== undefined) return text;
    }
    throw new Error("the kernel does not answer");
  }
}
