import { describe, expect, it } from "vitest";
import { Code } from "../src/highlight";
import { Markdown } from "../src/markdown";
import { dice } from "./util";

const SIGNS: Record<string, string> = { co: "comment", st: "string", nu: "number", kw: "keyword" };

/** The coloured pieces of a block, as `kind text`. */
function coloured(language: string, text: string): string[] {
  const element = document.createElement("pre");
  const code = new Code(element);
  code.lang = language;
  element.append(text);
  code.settle(true);
  expect(element.textContent).toBe(text);
  return [...element.querySelectorAll("span")].map((its) => `${SIGNS[its.className]} ${its.textContent}`);
}

describe("the colours of code", () => {
  it.each<[language: string, text: string, pieces: string[]]>([
    [
      "python",
      "def f(x): # don't\n    return x.values() + 0x1F",
      ["keyword def", "comment # don't", "keyword return", "number 0x1F"],
    ],
    [
      "py",
      's = """one\ntwo # no\n""" + \'a\\\'b\'',
      ['string """one', "string two # no", 'string """', "string 'a\\'b'"],
    ],
    [
      "js",
      'const a = "http://x"; // c\n/* one\ntwo */ let b',
      ["keyword const", 'string "http://x"', "comment // c", "comment /* one", "comment two */", "keyword let"],
    ],
    ["ts", "`a\nb` as c", ["string `a", "string b`", "keyword as"]],
    ["json", '{"a": [1.5e3, true, null]}', ['string "a"', "number 1.5e3", "keyword true", "keyword null"]],
    [
      "bash",
      "for x in $#; do # c\nls --all `pwd`",
      ["keyword for", "keyword in", "keyword do", "comment # c", "string `pwd`"],
    ],
    [
      "sql",
      "SELECT a FROM t -- c\nwhere b = 'x'",
      ["keyword SELECT", "keyword FROM", "comment -- c", "keyword where", "string 'x'"],
    ],
    ["yaml", "a: 1 # c\nb: it's so", ["number 1", "comment # c"]],
    ["html", '<a href="x">it\'s for</a>\n<!-- one\n"two" -->', ['string "x"', "comment <!-- one", 'comment "two" -->']],
    ["css", "a { color: #123456; top: 10px }", ["number 10px"]],
    ["c", "i--; j = 2;", ["number 2"]],
    ["bash", "curl https://x # get", ["comment # get"]],
    ["text", 'return "x"', []],
    ["", 'return "x"', []],
  ])("%s: %s", (language, text, pieces) => expect(coloured(language, text)).toEqual(pieces));

  it("leave the text as it is, whatever it is and however it comes", () => {
    const parts = [
      '"',
      "'",
      "`",
      '"""',
      "'''",
      "\\",
      "#",
      "--",
      "//",
      "/*",
      "*/",
      "<!--",
      "-->",
      "\n",
      " ",
      "1.5",
      "def",
      "é",
      "\r",
    ];
    const languages = ["python", "js", "sql", "html", "yaml", "x"];
    const roll = dice(5);
    for (let round = 0; round < 400; round++) {
      const element = document.createElement("pre");
      const code = new Code(element);
      code.lang = languages[round % languages.length] as string;
      let text = "";
      for (let n = 0; n < 30; n++) {
        const part = parts[Math.floor(roll() * parts.length)] as string;
        text += part;
        element.append(part);
        if (roll() < 0.4) code.settle();
      }
      code.settle(true);
      expect(element.textContent).toBe(text);
    }
  });

  it("are the same for a block that came in pieces", () => {
    const text = "```python\nx = '''a\nb''' # c\ndef f():\n    return 'x'\n```\n";
    const whole = new Markdown();
    whole.update(text, true);
    const grown = new Markdown();
    for (let n = 1; n <= text.length; n++) grown.update(text.slice(0, n), n === text.length);
    expect(whole.element.querySelectorAll("span")).toHaveLength(6);
    expect(grown.element.innerHTML).toBe(whole.element.innerHTML);
  });

  it("come with each whole line of a block that grows", () => {
    const answer = new Markdown();
    answer.update("```js\nlet a\nlet b", false);
    expect([...answer.element.querySelectorAll(".kw")].map((its) => its.textContent)).toEqual(["let"]);
    answer.update("```js\nlet a\nlet b\nvar", false);
    expect(answer.element.querySelectorAll(".kw")).toHaveLength(2);
    expect(answer.element.textContent).toContain("let a\nlet b\nv");
  });

  it("are left out of what is too long to be read", () => {
    expect(coloured("js", `let a\n${"let ".repeat(600)}\nlet b`)).toEqual(["keyword let", "keyword let"]);
    expect(coloured("js", "let a\n".repeat(20_000))).toEqual([]);
    expect(coloured("js", `${"\"'/*".repeat(200_000)}\n${'"'.repeat(1999)}\n`)).toEqual([]);
  });
});
