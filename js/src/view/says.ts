/** One sentence under the header, when something needs saying. The twin of letta_nb/words.py: verdict. */

import { h, say, set, show } from "../dom";
import { settled } from "../phases";
import type { Store } from "../store";
import { time } from "../time";
import type { Context } from "./context";

interface Words {
  sentence: string;
  more?: string;
  /** the server's own */
  words?: string;
}

const STOP_UNHEARD_MS = 3000;
const LOCAL = ["stream_ended", "connection_closed"];

export function verdict(store: Store): Words | null {
  const { status, error, ended, stop_reason, timed } = store.head;
  const after = typeof ended === "number" && timed !== false ? ` after ${time(ended)}` : "";
  const words = error?.detail || error?.message || "";
  if (status === "interrupted") {
    const local = !error || LOCAL.includes(error.type);
    const sentence = `The connection closed${after}, before the run ended.`;
    return { sentence, more: "The agent may still be running on the server.", words: local ? "" : words };
  }
  if (status === "cancelled") return { sentence: `You stopped the run${after}.` };
  if (status === "failed") {
    const step = store.steps.length + (settled(store) ? 1 : 0);
    const sentence = `The run failed in step ${step}: ${stop_reason || error?.type || "error"}.`;
    return { sentence, more: store.steps.length ? "What arrived is kept below." : "", words };
  }
  if (stop_reason === "max_steps") return { sentence: "Ended at the step limit." };
  if (status === "completed" && !store.steps.length) return { sentence: "The model ended its turn without a word." };
  return null;
}

export class SayLine {
  private readonly first = h("span");
  private readonly more = h("span", "d");
  private readonly words = h("div", "one m d");
  readonly element = h("div", "say", h("div", "", this.first, this.more), this.words);

  constructor(private readonly ctx: Context) {}

  private now(): Words | null {
    const { store, ui } = this.ctx;
    if (store.lost) return { sentence: "Some updates were lost; asking the kernel again." };
    if (store.running && ui.stopped !== null && performance.now() - ui.stopped > STOP_UNHEARD_MS) {
      return { sentence: "The kernel is busy and has not seen Stop. Use the kernel's interrupt button." };
    }
    return verdict(store);
  }

  update(): void {
    const said = this.now();
    show(this.element, said !== null);
    if (!said) return;
    say(this.first, said.sentence);
    say(this.more, said.more ? ` ${said.more}` : "");
    say(this.words, (said.words ?? "").slice(0, 2000));
    show(this.words, !!said.words);
    set(this.words, { title: said.words ? said.words.slice(0, 4000) : null });
  }
}
