import { afterEach, describe, expect, it } from "vitest";
import { Code } from "../src/highlight";
import { Markdown } from "../src/markdown";
import type { Change, MemoryBlock } from "../src/page.gen";
import { diff } from "../src/view/diff";
import { complaints, dice, load, press, rootOf, saved, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

let runs = 0;

async function shown(name: string, key: string, more: Change[]): Promise<ShadowRoot> {
  runs++;
  const uid: Change = { op: "run", at: 0, set: { uid: `panes-${runs}` } };
  const root = rootOf(saved({ ...load(name), changes: [...load(name).changes, uid, ...more] }));
  press(root, key);
  await expect.poll(() => seen(root, "[role=tabpanel]").map(textOf).join("")).not.toMatch(/^(One moment)?$/);
  return root;
}

describe("a diff", () => {
  it("leads from one text to the other, whatever they are", () => {
    const roll = dice(5);
    const text = (): string =>
      Array.from({ length: Math.floor(roll() * 9) }, () => "abcd"[Math.floor(roll() * 4)]).join("\n");
    for (let n = 0; n < 300; n++) {
      const [before, after] = [text(), text()];
      const changes = diff(before, after);
      const side = (kind: string): string =>
        changes
          .filter((its) => its.kind !== kind)
          .map((its) => its.text)
          .join("\n");
      expect([side("added"), side("removed")]).toEqual([before, after]);
    }
  });

  it("is short, and bounded for what is very long", () => {
    expect(diff("a\nb\nc", "a\nc")).toEqual([
      { kind: "same", text: "a" },
      { kind: "removed", text: "b" },
      { kind: "same", text: "c" },
    ]);
    const lines = (word: string): string => Array.from({ length: 5000 }, (_, n) => `${word} ${n}`).join("\n");
    expect(diff(lines("a"), lines("b"))).toHaveLength(10_000);
  });
});

describe("memory", () => {
  const blocks: MemoryBlock[] = [
    { label: "persona", limit: 5000, before: "I help.", after: "I help.", edits: [] },
    {
      label: "human",
      limit: null,
      before: "Name: Ada\nCity: Paris",
      after: "Name: Ada\nCity: Rome\nLikes quiet roads\n",
      edits: [
        { entry: 2, text: "Name: Ada\nCity: Rome" },
        { entry: null, text: "Name: Ada\nCity: Rome\nLikes quiet roads\n" },
      ],
    },
  ];
  const told: Change = { op: "run", at: null, set: { memory: blocks } };

  it("shows what changed, and the call that changed it, first", async () => {
    const root = await shown("multi2_tok_server", "3", [told]);
    expect(seen(root, ".mem .nm").map(textOf)).toEqual(["human", "persona"]);
    expect(seen(root, ".mem .pm").map(textOf)).toEqual(["+2 −1", "unchanged"]);
    expect(seen(root, ".by").map(textOf)).toEqual([
      "changed by get_weather  in step 1",
      "changed by none of this run's calls",
    ]);
    expect(seen(root, ".diff .added").map(textOf)).toEqual(["+added: City: Rome", "+added: Likes quiet roads"]);
    expect(await complaints()).toEqual([]);
    seen(root, ".by .lk")[0]?.click();
    expect(root.activeElement?.textContent).toContain("get_weather");
    expect(seen(root, "[aria-selected=true]").map(textOf)).toEqual(["Transcript"]);
  });

  it("that did not change can be read", async () => {
    const root = await shown("multi2_tok_server", "3", [{ op: "run", at: null, set: { memory: blocks.slice(0, 1) } }]);
    expect(seen(root, ".none").map(textOf)).toContain("No memory block changed.");
    seen(root, ".mem .r")[0]?.click();
    expect(seen(root, ".mem pre").map(textOf)).toEqual(["I help."]);
  });
});

describe("context", () => {
  it("shows how full the window was, and where it was compacted", async () => {
    const root = await shown("multi2_tok_server", "4", [
      ...[0, 1, 2, 3].map((step): Change => ({ op: "step", at: null, step, context_window: 8000 })),
      { op: "open", at: 9000, entry: 10, kind: "compaction", step: 2 },
      {
        op: "entry",
        at: 9000,
        entry: 10,
        set: { trigger: "context_window_exceeded", tokens_before: 7500, tokens_after: 2000 },
      },
    ]);
    expect(seen(root, ".fl").map(textOf)[0]).toBe("11,853 of 8,00023%");
    expect(seen(root, ".fill .at").map(textOf)).toEqual([
      "Context compacted  7,500 to 2,000 tokens  context window exceeded",
    ]);
    expect(root.querySelector<HTMLElement>(".notch")?.style.left).toBe("93.75%");
    expect(await complaints()).toEqual([]);
  });

  it("says when the size of the window is not known", async () => {
    const root = await shown(
      "multi2_tok_server",
      "4",
      [0, 1, 2, 3].map((step): Change => ({ op: "step", at: null, step, context_window: null })),
    );
    expect(seen(root, ".none").map(textOf).join("")).toContain("The size of the context window is not known");
  });
});

describe("code", () => {
  const coloured = (text: string): string[] => {
    const answer = new Markdown();
    for (let n = 0; n < text.length; n += 7) answer.update(text.slice(0, n), false);
    answer.update(text, true);
    return [...answer.element.querySelectorAll("pre span")].map((its) => `${its.className}:${its.textContent}`);
  };

  it.each([
    ["```python\ndef f(x):\n    return x + 1  # one\n```", ["kw:def", "kw:return", "nu:1", "co:# one"]],
    ['```json\n{"a": [1.5, true]}\n```', ['st:"a"', "nu:1.5", "kw:true"]],
    ["```sql\nselect 'a' -- no\n```", ["kw:select", "st:'a'", "co:-- no"]],
    ['```py\n"""doc\nmore"""\nx = 1\n```', ['st:"""doc', 'st:more"""', "nu:1"]],
    ["```js\n/* a\n b */ let x\n```", ["co:/* a", "co: b */", "kw:let"]],
    ["```bash\ncurl https://x # get\n```", ["co:# get"]],
    ["```\ndef f(): 1\n```", []],
  ])("%s", (text, spans) => expect(coloured(text as string)).toEqual(spans));

  it("stays the same text, however it arrives and however hostile", () => {
    const roll = dice(3);
    const ALPHABET = "\"'`\\/*#-\n ab1{}<>&";
    for (let n = 0; n < 200; n++) {
      const text = Array.from({ length: 60 }, () => ALPHABET[Math.floor(roll() * ALPHABET.length)]).join("");
      const pre = document.createElement("pre");
      const code = new Code(pre);
      code.lang = ["python", "js", "sql"][n % 3] as string;
      for (const char of text) {
        pre.append(char);
        if (roll() < 0.3) code.settle();
      }
      code.settle(true);
      expect(pre.textContent).toBe(text);
    }
    const long = document.createElement("pre");
    const code = new Code(long);
    code.lang = "js";
    long.append(`${"\"'/*".repeat(200_000)}\n${'"'.repeat(1999)}\n`);
    code.settle();
    expect(long.textContent?.length).toBe(802_001);
  });
});
