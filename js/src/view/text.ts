/** Text that grows, and text that is long. */

import { button, h, say, show } from "../dom";
import { size } from "../time";

export const HARD_CAP = 200_000;
const PIECE = 4_000;

/**
 * Appends what is new of a growing text, in blocks: only the last one is laid out anew. A block ends with a line, or,
 * where no line ends for long, with a word.
 */
export class Growing {
  private written = 0;
  private block: Text | null = null;
  private last: HTMLElement;
  /** each block with where it begins */
  private blocks: { from: number; text: Text; element: HTMLElement }[] = [];

  constructor(readonly element: HTMLElement) {
    this.last = element;
  }

  /** `caret`: stands after the last character. */
  update(text: string, caret: HTMLElement | null = null): void {
    if (text.length < this.written) this.back(text.length);
    const end = Math.min(text.length, HARD_CAP);
    while (this.written < end) {
      const upTo = Math.min(end, this.blockEnd(text));
      this.append(text.slice(this.written, upTo));
      this.written = upTo;
    }
    if (caret && caret.parentNode !== this.last) this.last.append(caret);
  }

  /** The reader has gone back in time. */
  private back(to: number): void {
    while ((this.blocks.at(-1)?.from ?? -1) >= to) this.blocks.pop()?.element.remove();
    const last = this.blocks.at(-1);
    if (last) last.text.data = last.text.data.slice(0, to - last.from);
    this.last = last?.element ?? this.element;
    this.block = last?.text ?? null;
    this.written = to;
  }

  /** Up to where the text belongs to this block: a full one takes the rest of its line, an overfull one of its word. */
  private blockEnd(text: string): number {
    const room = PIECE - (this.block?.length ?? 0);
    if (room > 0) return this.written + room;
    const ends = room > -PIECE ? "\n" : " ";
    const at = text.indexOf(ends, this.written) + 1;
    const most = this.written + room + (room > -PIECE ? 2 : 3) * PIECE;
    return at && at < most ? at : most;
  }

  private append(text: string): void {
    if (this.block) this.block.appendData(text);
    else {
      this.block = document.createTextNode(text);
      this.last = h("div", "", this.block);
      this.element.append(this.last);
      this.blocks.push({ from: this.written, text: this.block, element: this.last });
    }
    const { length } = this.block;
    const ends = length >= 2 * PIECE ? /[\n ]$/ : /\n$/;
    if (length >= 3 * PIECE || (length >= PIECE && ends.test(text))) this.block = null;
  }
}

const COPIED = "Copied";

export async function copy(text: string, from: HTMLElement): Promise<void> {
  const before = from.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyOldWay(text, from)) return;
  }
  if (!before || before === COPIED) return;
  from.textContent = COPIED;
  setTimeout(() => say(from, before), 1500);
}

/** Where the clipboard is closed to a page (an http notebook server): a selection and the old command. */
function copyOldWay(text: string, near: HTMLElement): boolean {
  const area = h("textarea");
  area.value = text;
  near.parentElement?.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  near.focus();
  return done;
}

/** The first `lines` lines of something tall, and a button for the rest. */
export class Clip {
  readonly element: HTMLElement;
  private readonly more: HTMLButtonElement;
  /** all of it was asked for */
  whole = false;
  /** not even all of it is drawn */
  cut = false;

  constructor(
    private readonly inner: HTMLElement,
    lines: number,
    private readonly text: () => string,
    private readonly opened = (): void => {},
  ) {
    inner.style.setProperty("--lines", String(lines));
    this.more = button("lk", "", () => this.press());
    this.more.hidden = true;
    this.element = h("div", "", inner, this.more);
  }

  private press(): void {
    if (this.whole || !this.inner.classList.contains("clip")) void copy(this.text(), this.more);
    else {
      this.whole = true;
      this.opened();
      this.check(true);
    }
  }

  /** `on`: fold it if it is tall. Reads the layout: only when the text is whole. */
  check(on: boolean): void {
    const length = this.text().length;
    const clip = on && !this.whole;
    this.inner.classList.toggle("clip", clip);
    const tall = clip && (this.cut || this.inner.scrollHeight > this.inner.clientHeight + 2);
    const capped = length > HARD_CAP;
    show(this.more, tall || (capped && !clip));
    if (tall) say(this.more, `Show all${length > 1000 ? `, ${size(length)}` : ""}`);
    else if (capped) say(this.more, `Copy all, ${size(length)}`);
  }

  /** Once it stands in the page. */
  later(): this {
    requestAnimationFrame(() => this.check(true));
    return this;
  }
}
