/** Markdown as it streams, drawn by our own hand: known elements only, text as text, nothing fetched. */

import * as smd from "streaming-markdown";
import { h, set } from "./dom";
import { Code } from "./highlight";

const TAGS: Record<number, keyof HTMLElementTagNameMap> = {
  [smd.PARAGRAPH]: "p",
  [smd.HEADING_1]: "h4",
  [smd.HEADING_2]: "h4",
  [smd.HEADING_3]: "h5",
  [smd.HEADING_4]: "h5",
  [smd.HEADING_5]: "h6",
  [smd.HEADING_6]: "h6",
  [smd.CODE_INLINE]: "code",
  [smd.ITALIC_AST]: "em",
  [smd.ITALIC_UND]: "em",
  [smd.STRONG_AST]: "strong",
  [smd.STRONG_UND]: "strong",
  [smd.STRIKE]: "s",
  [smd.BLOCKQUOTE]: "blockquote",
  [smd.LINE_BREAK]: "br",
  [smd.RULE]: "hr",
  [smd.LIST_UNORDERED]: "ul",
  [smd.LIST_ORDERED]: "ol",
  [smd.LIST_ITEM]: "li",
  [smd.TABLE_ROW]: "tr",
  [smd.EQUATION_BLOCK]: "code",
  [smd.EQUATION_INLINE]: "code",
};

/** Only where a reader would expect a link to go. */
export function safeUrl(text: string): string | null {
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** What may scroll sideways can be reached with keys. */
function reachable<T extends HTMLElement>(element: T, name: string): T {
  return set(element, { tabindex: "0", role: "group", "aria-label": name });
}

function link(): HTMLElement {
  const made = h("a");
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

function make(type: number, parent: HTMLElement): { outer: HTMLElement; inner: HTMLElement } {
  const one = (element: HTMLElement) => ({ outer: element, inner: element });
  if (type === smd.LINK || type === smd.RAW_URL || type === smd.IMAGE) return one(link());
  if (type === smd.CODE_BLOCK || type === smd.CODE_FENCE) return one(reachable(h("pre", "well m"), "Code"));
  if (type === smd.TABLE) {
    const inner = h("table", "grid-t");
    return { outer: reachable(h("div", "scroll", inner), "Table"), inner };
  }
  if (type === smd.TABLE_CELL) return one(h(parent.previousElementSibling ? "td" : "th"));
  if (type === smd.CHECKBOX) {
    const box = h("input");
    box.type = "checkbox";
    box.disabled = true;
    box.ariaLabel = "task";
    return one(box);
  }
  const made = h(TAGS[type] ?? "span");
  // the side of its bullets, or of its rule
  if (/^[uob]/.test(made.localName)) made.dir = "auto";
  return one(made);
}

function attribute(element: HTMLElement, type: number, value: string): void {
  if (type === smd.HREF || type === smd.SRC) {
    const url = safeUrl(value);
    if (url) element.setAttribute("href", url);
    else element.removeAttribute("href");
    if (type === smd.SRC && !element.textContent) element.textContent = value;
  } else if (type === smd.START && /^\d{1,9}$/.test(value)) {
    element.setAttribute("start", value);
  } else if (type === smd.CHECKED) {
    element.setAttribute("checked", "");
  }
}

/** Where all that was written so far stands in blocks that are over: from here one can write on, again. */
interface Mark {
  written: number;
  children: number;
  stack: HTMLElement[];
  parser: smd.Parser;
}

/** characters */
const AT_ONCE = 8_000;

/** One answer: give it the text as it grows; what is drawn stays. */
export class Markdown {
  readonly element = h("div", "md");
  private stack: HTMLElement[] = [this.element];
  private parser: smd.Parser;
  private written = 0;
  private ended = false;
  private marks: Mark[];
  /** how the columns of the latest table are aligned */
  private sides: string[] = [];
  /** the latest block of code */
  private code: Code | null = null;

  constructor() {
    this.parser = smd.parser({
      data: this,
      add_token: (self: Markdown, type: number) => self.open(type),
      end_token: (self: Markdown) => {
        if (self.stack.length < 2) return;
        if (self.stack.pop() === self.code?.element) self.code?.settle(true);
      },
      add_text: (self: Markdown, text: string) => {
        const last = self.top.lastChild;
        // one text is one node, in however many pieces it comes; of code it is known up to which node it is coloured
        if (last?.nodeType === Node.TEXT_NODE && self.top !== self.code?.element) (last as Text).appendData(text);
        else self.top.append(text);
      },
      set_attr: (self: Markdown, type: number, value: string) => {
        if (type === smd.LANG && self.code) self.code.lang = value;
        else attribute(self.top, type, value);
      },
    });
    this.marks = [this.mark()];
  }

  private mark(): Mark {
    const { parser, written } = this;
    const copy = { ...parser, tokens: parser.tokens.slice() };
    return { written, children: this.element.childElementCount, stack: this.stack.slice(), parser: copy };
  }

  private get top(): HTMLElement {
    return this.stack.at(-1) ?? this.element;
  }

  private open(type: number): void {
    if (type === smd.DOCUMENT) return void this.stack.push(this.element);
    const { top } = this;
    const { outer, inner } = make(type, top);
    if (type === smd.TABLE) this.sides = [];
    if (type === smd.TABLE_CELL) outer.style.textAlign = this.sides[top.childElementCount] ?? "";
    top.append(outer);
    this.stack.push(inner);
    if (type === smd.CODE_FENCE || type === smd.CODE_BLOCK) this.code = new Code(inner);
  }

  /** By `|:--|--:|`, which comes after the cells of the head. */
  private align(line: string): void {
    const side = (cell: string): string => (/-:/.test(cell) ? (/:-/.test(cell) ? "center" : "right") : "");
    this.sides = line.split("|").slice(1).map(side);
    [...(this.top.firstElementChild?.children ?? [])].forEach((cell, n) => {
      (cell as HTMLElement).style.textAlign = this.sides[n] ?? "";
    });
  }

  /** The reader has gone back in time: to the last block that was over by then. */
  private back(to: number): void {
    while (this.marks.length > 1 && (this.marks.at(-1) as Mark).written > to) this.marks.pop();
    const { written, children, stack, parser } = this.marks.at(-1) as Mark;
    while (this.element.childElementCount > children) this.element.lastElementChild?.remove();
    this.stack = stack.slice();
    this.parser = { ...parser, tokens: parser.tokens.slice() };
    this.written = written;
    this.ended = false;
  }

  /**
   * `text` is the whole so far; `done`: nothing more will come. Draws so much of it that no reader is held up: false,
   * if more is left, for a later call.
   */
  update(text: string, done: boolean): boolean {
    const again = this.ended && (!done || text.length > this.written);
    if (again || text.length < this.written) this.back(text.length);
    if (this.ended) return true;
    const most = this.written + AT_ONCE;
    while (this.written < text.length) {
      if (this.written > most) return false;
      const upTo = text.indexOf("\n", this.written) + 1 || text.length;
      const before = this.parser.table_state;
      smd.parser_write(this.parser, text.slice(this.written, upTo));
      // the parser keeps to itself what stands in the line under a table's head
      if (before < 2 && this.parser.table_state === 2)
        this.align(text.slice(text.lastIndexOf("\n", upTo - 2) + 1, upTo));
      this.written = upTo;
      // after an empty line the parser still holds a paragraph open, and puts nothing more into it
      const over = this.stack.length === 1 || (this.stack.length === 2 && this.top.localName === "p");
      if (over && text.endsWith("\n\n", upTo)) this.marks.push(this.mark());
    }
    if (this.top === this.code?.element) this.code.settle();
    if (done) {
      this.ended = true;
      smd.parser_end(this.parser);
    }
    return true;
  }
}
