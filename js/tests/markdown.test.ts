import { describe, expect, it } from "vitest";
import { Markdown } from "../src/markdown";
import { dice } from "./util";

const PARTS = [
  "A paragraph with **bold**, `code` and [a link](https://example.com).\n\n",
  "# A heading\n\n",
  "- one\n- two\n\n  still two\n\n- three\n\n",
  "```python\nx = 1\n\ny = 2\n```\n\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
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
