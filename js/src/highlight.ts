/** Code with restraint: comments dim, strings and numbers in one quiet colour each, keywords bold. The text stays. */

import { h } from "./dom";

const words = (text: string): Set<string> => new Set(text.split(" "));
const KEYWORDS = words(
  "and as async await break case catch class const continue def do done elif else export except extends fi finally fn " +
    "for from func function if import in interface is lambda let new not null None or pass raise return self static " +
    "struct switch then this throw true True false False try type var void while with yield",
);
const SQL = words(
  "and as by case create delete desc distinct drop else end from group having in insert into is join left limit not " +
    "null on or order select set table then union update values when where with",
);
const HASH = /^(py|python|sh|bash|shell|zsh|rb|ruby|r|ya?ml|toml|dockerfile|ini)$/i;
const DASHES = /^(sql|lua)$/i;
const MARKUP = /^(html|xml|svg)$/i;
/** of these nothing is known, or nothing would be gained */
const PLAIN = /^(te?xt|plain|plaintext|output|console|diff|md|markdown|)$/i;
/** the beginning of a string or a comment, a number, a word */
const TOKEN = /("""|'''|["'`])|(<!--|\/[/*]|#|--)|((?<!#)\b\d[\w.]*)|([A-Za-z_$][\w$]*)/g;
const LONGEST = 2000;
const MOST = 100_000;

/** Where a string ends that began with `quote`, -1 if not in this line. */
function endOf(quote: string, line: string, from: number): number {
  for (let at = from; at < line.length; at++) {
    if (line[at] === "\\") at++;
    else if (line.startsWith(quote, at)) return at + quote.length;
  }
  return -1;
}

/** What ends a comment that begins so; "" where these signs are none: `#` of a colour, `--` of C, `//` of an address. */
function ends(sign: string, language: string, before = " "): string {
  if (MARKUP.test(language)) return sign === "<!--" ? "-->" : "";
  if (sign === "#") return HASH.test(language) && /\s/.test(before) ? "\n" : "";
  if (sign === "--") return DASHES.test(language) ? "\n" : "";
  if (HASH.test(language)) return "";
  return sign === "/*" ? "*/" : sign === "//" && before !== ":" ? "\n" : "";
}

/** Colours lines, one after the other: a string or a comment may go on over several. */
class Painter {
  /** what ends the text that goes on, and its class */
  private open = "";
  private cls = "";
  private text = "";
  private at = 0;
  private nodes: (Node | string)[] = [];

  constructor(private readonly language: string) {}

  line(text: string): (Node | string)[] {
    if (text.length > LONGEST) return [text];
    Object.assign(this, { text, at: 0, nodes: [] });
    if (this.open) this.goOn(0);
    let goes = true;
    TOKEN.lastIndex = this.at;
    for (let found = TOKEN.exec(text); found && goes; found = goes ? TOKEN.exec(text) : null) {
      const end = found.index + found[0].length;
      goes = this.token(found, end);
      TOKEN.lastIndex = Math.max(this.at, end);
    }
    this.put("", text.length);
    return this.nodes;
  }

  /** False: more than is understood here, so the rest of the line stays as it is. */
  private token({ 1: quote, 2: sign, 3: number, 4: word, index }: RegExpExecArray, end: number): boolean {
    const before = this.text[index - 1];
    const close = quote ?? (sign ? ends(sign, this.language, before) : "");
    if (quote && endOf(quote, this.text, end) < 0) {
      // an apostrophe, or a string over several lines
      if (quote.length === 1 && (quote !== "`" || HASH.test(this.language))) return false;
    }
    if (close) {
      this.put("", index);
      Object.assign(this, { open: close, cls: quote ? "st" : "co" });
      this.goOn(end);
      if (close === "\n") this.open = "";
    } else if (number || (word && before !== "." && this.isKeyword(word))) {
      this.put("", index);
      this.put(number ? "nu" : "kw", end);
    }
    return true;
  }

  /** What began, here or on a line before, goes on up to its end. */
  private goOn(from: number): void {
    const { open, text, cls } = this;
    const end = cls === "st" ? endOf(open, text, from) : text.indexOf(open, from) + open.length;
    const over = end >= from + open.length;
    this.put(cls, over ? end : text.length);
    if (over) this.open = "";
  }

  private put(cls: string, to: number): void {
    const text = this.text.slice(this.at, to);
    if (text) this.nodes.push(cls ? h("span", cls, text) : text);
    this.at = to;
  }

  private isKeyword(word: string): boolean {
    if (MARKUP.test(this.language)) return false;
    return DASHES.test(this.language) ? SQL.has(word.toLowerCase()) : KEYWORDS.has(word);
  }
}

/** A block of code, coloured as its lines get complete. */
export class Code {
  private language = "";
  private painter: Painter | null = null;
  /** the last node that is coloured, and how much is */
  private last: ChildNode | null = null;
  private painted = 0;

  constructor(readonly element: HTMLElement) {}

  /** What stands behind the fence: `python`, `js {1,3}`. */
  set lang(info: string) {
    this.language = info.trim().split(/[\s{,]/, 1)[0] ?? "";
  }

  /** What has arrived of the block is text at its end; whole lines of it are coloured, and at the end all. */
  settle(all = false): void {
    if (PLAIN.test(this.language) || this.painted > MOST) return;
    this.painter ??= new Painter(this.language);
    const tail: string[] = [];
    const nodes: ChildNode[] = [];
    for (let node = this.element.lastChild; node && node !== this.last; node = node.previousSibling) {
      nodes.push(node);
      tail.push(node.nodeValue ?? "");
    }
    const text = tail.reverse().join("");
    const end = all ? text.length : text.lastIndexOf("\n") + 1;
    if (!end) return;
    this.painted += end;
    if (this.painted > MOST) return;
    for (const node of nodes) node.remove();
    this.paint(text.slice(0, end), this.painter);
    this.last = this.element.lastChild;
    if (end < text.length) this.element.append(text.slice(end));
  }

  private paint(text: string, painter: Painter): void {
    text.split("\n").forEach((line, n) => {
      this.element.append(n ? "\n" : "", ...painter.line(line));
    });
  }
}
