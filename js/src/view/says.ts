/** One sentence under the header, when something needs saying. The twin of letta_nb/words.py: verdict, connection. */

import { h, say, set, show } from "../dom";
import type { CancelInfo } from "../page.gen";
import { settled } from "../phases";
import type { Store } from "../store";
import { time } from "../time";
import { unheard } from "./answer";
import type { Context } from "./context";

interface Words {
  sentence: string;
  more?: string;
  /** the server's own */
  words?: string;
  /** what the reader can do, with what they would type between backticks */
  way?: string;
  /** a note and no news */
  dim?: boolean;
}

const UNHEARD_MS = 3000;
const SHORT = 80;
const LOCAL = ["stream_ended", "connection_closed"];
const THERE = "The agent may still be running there.";
const PLAIN_ID = /^[\w-]+$/;

export function verdict(store: Store): Words | null {
  const { status, error, ended, stop_reason, timed, cancel, run_id } = store.head;
  const after = typeof ended === "number" && timed !== false ? ` after ${time(ended)}` : "";
  const words = error?.detail || error?.message || "";
  if (status === "failed" && error?.type === "pending_approval") {
    return { sentence: error.message, words: error.detail ?? "" };
  }
  if (status === "failed") {
    const step = store.steps.length + (settled(store) ? 1 : 0);
    const sentence = `The run failed in step ${step}: ${stop_reason || error?.type || "error"}.`;
    return { sentence, more: store.steps.length ? "What arrived is kept below." : "", words };
  }
  // what it waits for stands in the transcript
  if (status === "requires_approval") return null;
  const refused = cancel ? notStopped(cancel) : null;
  if (refused) return refused;
  if (status === "interrupted") {
    const local = !error || LOCAL.includes(error.type);
    const sentence = `The connection closed${after}, before the run ended.`;
    const way = run_id && PLAIN_ID.test(run_id) ? `\`letta_nb.attach("${run_id}")\` looks again.` : "";
    return { sentence, more: "The agent may still be running on the server.", words: local ? "" : words, way };
  }
  if (status === "cancelled") return { sentence: `You stopped the run${after}.` };
  if (stop_reason === "max_steps") return { sentence: "Ended at the step limit." };
  if (status === "completed" && !store.steps.length) return { sentence: "The model ended its turn without a word." };
  return null;
}

/** A person pressed Stop, and the server did not stop the run: what it said. */
function notStopped({ outcome, words }: CancelInfo): Words | null {
  if (outcome === "unsupported") {
    return { sentence: "This server cannot stop a run; only the connection was closed.", more: THERE };
  }
  if (outcome === "unheard") {
    return { sentence: "The server did not answer Stop within 2 s; only the connection was closed.", more: THERE };
  }
  if (outcome === "nothing") return quoting("The server had nothing to stop", words);
  if (outcome === "refused") return quoting("The server refused to stop the run", words, THERE);
  return null;
}

/** The server's words within the sentence if they are short, else under it. */
function quoting(sentence: string, said: string | null, more = ""): Words {
  const words = (said ?? "").trim();
  if (words.length > SHORT || words.includes("\n")) return { sentence: `${sentence}.`, more, words };
  return { sentence: words ? `${sentence}: ${words.replace(/\.+$/, "")}.` : `${sentence}.`, more };
}

/** That the connection was lost, and what came of it. */
export function connection(store: Store): Words | null {
  const { connection: broken, status } = store.head;
  if (!broken) return null;
  const { lost, back, times } = broken;
  const sentence = `The connection was lost${times > 1 ? ` ${times} times, last` : ""} after ${time(lost ?? 0)}`;
  if (back !== null) {
    const later = time(Math.max(back - (lost ?? 0), 0));
    return { sentence: `${sentence} and taken up again ${later} later; nothing is missing.`, dim: true };
  }
  if ((status ?? "running") === "running") return { sentence: `${sentence}. Trying again.` };
  return { sentence: `${sentence} and could not be taken up again.`, dim: true };
}

/** How this run was come by, where that is worth a word. */
const note = ({ head }: Store): Words | null => (head.note ? { sentence: head.note, dim: true } : null);

export class SayLine {
  private readonly first = h("span");
  private readonly more = h("span", "d");
  private readonly way = h("span", "d way");
  private readonly words = h("div", "one m d");
  readonly element = h("div", "say", h("div", "", this.first, this.more, this.way), this.words);

  constructor(private readonly ctx: Context) {}

  private now(): Words | null {
    const { store } = this.ctx;
    if (store.lost) return { sentence: "Some updates were lost; asking the kernel again." };
    if (unheard(this.ctx)) return { sentence: "The kernel is busy and has not heard the answer." };
    return this.stopping() ?? verdict(store) ?? connection(store) ?? note(store);
  }

  /** Stop was pressed and nothing came of it yet: who has not answered. */
  private stopping(): Words | null {
    const { store, ui } = this.ctx;
    const { cancel } = store.head;
    if (!store.running) return null;
    if (cancel) {
      const since = this.ctx.now() - (cancel.asked ?? this.ctx.now());
      const quiet = cancel.outcome === "asked" && since > UNHEARD_MS;
      return quiet ? { sentence: "Asked the server to stop; it has not answered yet." } : null;
    }
    if (ui.stopped === null || performance.now() - ui.stopped <= UNHEARD_MS) return null;
    return { sentence: "The kernel is busy and has not seen Stop. Use the kernel's interrupt button." };
  }

  update(): void {
    const said = this.now();
    show(this.element, said !== null);
    if (!said) return;
    say(this.first, said.sentence);
    this.first.classList.toggle("d", !!said.dim);
    say(this.more, (said.more ? ` ${said.more}` : "") + (said.way ? " " : ""));
    this.drawWay(said.way ?? "");
    say(this.words, (said.words ?? "").slice(0, 2000));
    show(this.words, !!said.words);
    set(this.words, { title: said.words ? said.words.slice(0, 4000) : null });
  }

  private drawWay(way: string): void {
    if (this.way.dataset.way === way) return;
    this.way.dataset.way = way;
    const parts = way.split("`").map((part, n) => (n % 2 ? h("code", "m", part) : part));
    this.way.replaceChildren(...(way ? parts : []));
  }
}
