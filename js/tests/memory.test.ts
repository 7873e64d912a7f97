import { afterEach, describe, expect, it } from "vitest";
import type { Change, MemoryBlock } from "../src/page.gen";
import { Store } from "../src/store";
import type { Context } from "../src/view/context";
import { diff } from "../src/view/diff";
import { MemoryPane } from "../src/view/memory";
import { complaints, dice, load, paneOf, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

const block = (label: string, before: string | null, ...texts: (string | null)[]): MemoryBlock => ({
  label,
  limit: null,
  before,
  after: texts.length ? (texts.at(-1) ?? null) : before,
  edits: texts.map((text) => ({ entry: 2, text })),
});

function shown(...blocks: MemoryBlock[]): { pane: MemoryPane; store: Store; tell(...more: MemoryBlock[]): void } {
  const store = new Store();
  store.adopt(load("multi2_tok_server"));
  const ctx = { store, ui: { open: new Map() }, id: "x-", reveal: () => {} } as unknown as Context;
  const pane = new MemoryPane(ctx);
  document.body.append(pane.element);
  const tell = (...memory: MemoryBlock[]): void => {
    const { seq } = store;
    store.receive({ seq: seq + 1, changes: [{ op: "run", at: null, set: { memory } }] });
    pane.update();
  };
  tell(...blocks);
  return { pane, store, tell };
}

const words = (pane: MemoryPane, selector: string): string[] => seen(pane.element, selector).map(textOf);

describe("memory", () => {
  it("says in short what became of each block, those that changed first", () => {
    const { pane } = shown(
      block("as it was", "a"),
      block("made", null, "a\nb"),
      block("gone", "a", null),
      block("there and back", "a", "b", "a"),
      block("emptied", "a\nb", ""),
    );
    expect(seen(pane.element, ".mem .r").map((row) => textOf(row.children[1] as Node))).toEqual([
      "madenew +2",
      "gonedeleted −1",
      "there and backthe same at the end",
      "emptied−2",
      "as it wasunchanged",
    ]);
    expect(words(pane, ".by")).toHaveLength(5);
  });

  it("folds what is far from a change, and shows a long change in part", () => {
    const before = Array.from({ length: 20 }, (_, n) => `line ${n}`);
    const { pane } = shown(
      block("one", before.join("\n"), before.map((line, n) => (n === 9 ? "other" : line)).join("\n")),
      block("long", null, "new\n".repeat(500)),
    );
    const [one, long] = seen(pane.element, ".diff") as [HTMLElement, HTMLElement];
    expect([...one.children].map(textOf)).toEqual([
      "… 7 lines",
      "\u00a0line 7",
      "\u00a0line 8",
      "−removed: line 9",
      "+added: other",
      "\u00a0line 10",
      "\u00a0line 11",
      "… 8 lines",
    ]);
    expect(long.querySelectorAll(".added")).toHaveLength(200);
    expect(textOf(long.lastChild as Node)).toBe("Show 300 more lines");
    seen(long, ".lk")[0]?.click();
    expect(long.querySelectorAll(".added")).toHaveLength(500);
  });

  it("lets each line and each name run its own way, and keeps what stands beside them in its place", () => {
    const { pane } = shown(block("זיכרון", "שלום\nעולם", "שלום, עולם!\nעולם"));
    expect([...pane.element.querySelectorAll(".mem bdi")].map((its) => its.textContent)).toEqual([
      "זיכרון",
      "שלום",
      "שלום, עולם!",
      "עולם",
    ]);
    expect(pane.element.querySelector("bdi :is(.sign,.pm,.vh)")).toBeNull();
  });

  it("leaves a row as the reader put it when more is told", () => {
    const { pane, tell } = shown(block("a", "1", "2"), block("b", "1"));
    for (const row of seen(pane.element, ".mem .r")) row.click();
    const open = (): (string | null)[] => seen(pane.element, ".mem .r").map((row) => row.getAttribute("aria-expanded"));
    expect(open()).toEqual(["false", "true"]);
    tell(block("a", "1", "2", "3"), block("b", "1"));
    expect(open()).toEqual(["false", "true"]);
  });

  it("knows the calls' names, at whatever moment it was first looked at", () => {
    const { pane, store, tell } = shown();
    store.travel(0);
    tell(block("a", "1", "2"));
    expect(words(pane, ".by")).toEqual(["changed by a tool"]);
    store.travel(null);
    pane.update();
    expect(words(pane, ".by")).toEqual(["changed by get_weather  in step 1"]);
  });

  it("of an agent without blocks is not made up", () => {
    expect(words(shown().pane, ".none")).toEqual(["This agent has no memory blocks."]);
  });
});

describe("memory in a view", () => {
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
    const root = await paneOf("multi2_tok_server", "3", [told]);
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
    const root = await paneOf("multi2_tok_server", "3", [{ op: "run", at: null, set: { memory: blocks.slice(0, 1) } }]);
    expect(seen(root, ".none").map(textOf)).toContain("No memory block changed.");
    seen(root, ".mem .r")[0]?.click();
    expect(seen(root, ".mem pre").map(textOf)).toEqual(["I help."]);
  });
});

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
