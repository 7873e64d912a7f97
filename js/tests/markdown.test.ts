import { describe, expect, it } from "vitest";
import { Markdown } from "../src/markdown";
import { dice } from "./util";

const PARTS = [
  "A paragraph with **bold**, `code` and [a link](https://example.com).\n\n",
  "# A heading\n\n",
  "- one\n- two\n\n  still two\n\n- three\n\n",
  "```python\nx = 1\n\ny = 2\n```\n\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
  "| a | b | c |\n|:---|:-:|---:|\n| 1 | 2 | 3 |\n| 4 |\n\n",
  "> a quote\n> goes on\n\n",
  "1. first\n\n2. second\n\n",
  "A line\nand another *without end",
  "\n\n",
  "***\n\n",
];

const drawn = (text: string, done: boolean): string => {
  const fresh = new Markdown();
  fresh.update(text, done);
  return fresh.element.innerHTML;
};

describe("markdown", () => {
  const TABLE = "| a | b | c | d |\n|:--|--:|:-:|---|\n| 1 | 2 | 3 | 4 | 5 |\n\n| x | y |\n|---|--:|\n| 6 | 7 |\n\n";
  const sides = (answer: Markdown): string[] =>
    [...answer.element.querySelectorAll("tr")].map((row) =>
      [...row.children].map((cell) => `${cell.textContent?.trim()}${(cell as HTMLElement).style.textAlign}`).join(" "),
    );

  it.each([1, 3, 1000])("aligns a table's columns as it says, in pieces of %d", (size) => {
    const answer = new Markdown();
    for (let n = 0; n < TABLE.length; n += size) answer.update(TABLE.slice(0, n), false);
    answer.update(TABLE, true);
    expect(sides(answer)).toEqual(["a bright ccenter d", "1 2right 3center 4 5", "x yright", "6 7right"]);
  });

  it("looks as if read from the start, wherever one comes from", () => {
    const roll = dice(11);
    for (let round = 0; round < 60; round++) {
      const parts = Array.from({ length: 8 }, () => PARTS[Math.floor(roll() * PARTS.length)] as string);
      const whole = parts.join("");
      const answer = new Markdown();
      for (let n = 0; n < 15; n++) {
        const to = Math.floor(roll() * (whole.length + 1));
        const done = to === whole.length || roll() < 0.2;
        answer.update(whole.slice(0, to), done);
        expect(answer.element.innerHTML).toBe(drawn(whole.slice(0, to), done));
      }
    }
  });
});
