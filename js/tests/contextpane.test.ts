import { afterEach, describe, expect, it } from "vitest";
import type { Change } from "../src/page.gen";
import { Store } from "../src/store";
import type { Context } from "../src/view/context";
import { ContextPane } from "../src/view/contextpane";
import { complaints, load, paneOf, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

function shown(name: string): { pane: ContextPane; revealed: number[]; tell(...changes: Change[]): void } {
  const store = new Store();
  store.adopt(load(name));
  const revealed: number[] = [];
  const pane = new ContextPane({ store, reveal: (entry: number) => revealed.push(entry) } as unknown as Context);
  document.body.append(pane.element);
  const tell = (...changes: Change[]): void => {
    store.receive({ seq: store.seq + 1, changes });
    pane.update();
  };
  pane.update();
  return { pane, revealed, tell };
}

const step = (index: number, input_tokens: number | null, context_window: number | null): Change => ({
  op: "step",
  at: null,
  step: index,
  input_tokens,
  context_window,
});
const widths = (pane: ContextPane): string[] =>
  seen(pane.element, ".track").map((its) => [...its.children].map((i) => (i as HTMLElement).style.cssText).join(" "));

describe("the context window", () => {
  it("is drawn to one scale, with the end of smaller windows, and what is over its window", () => {
    const { pane, tell } = shown("multi_step");
    tell(step(0, 50, 100), step(1, 200, 400), step(2, 500, 400), step(3, null, null));
    const figures = seen(pane.element, ".fl").map((its) => [...its.children].map(textOf).filter(Boolean).join(" "));
    expect(figures).toEqual(["1 50 of 100 50%", "2 200 of 400 50%", "3 500 of 400 125%"]);
    expect(widths(pane)).toEqual(["width: 10%; left: 20%;", "width: 40%; left: 80%;", "width: 100%; left: 80%;"]);
  });

  it("goes to the first entry of a step, and keeps the focus while more comes", () => {
    const { pane, revealed, tell } = shown("multi_step");
    tell(step(0, 50, 100), step(1, 60, 100));
    seen(pane.element, ".fl")[1]?.focus();
    seen(pane.element, ".fl")[1]?.click();
    expect(revealed).toEqual(
      [load("multi_step").changes.find((its) => its.op === "open" && its.step === 1)].map(
        (its) => (its as { entry: number }).entry,
      ),
    );
    const before = seen(pane.element, ".fl")[1];
    tell(step(2, 70, 100));
    expect(document.activeElement).toBe(seen(pane.element, ".fl")[1]);
    expect(document.activeElement).not.toBe(before);
    tell({ op: "run", at: null, set: { events: 99 } });
    expect(seen(pane.element, ".fl")).toHaveLength(3);
  });

  it("marks a compaction that is told of after the tokens, and says it once where two events tell it", () => {
    const { pane, tell } = shown("multi_step");
    tell(step(0, 50, 100));
    const entry = load("multi_step").changes.filter((its) => its.op === "open").length;
    const set = { trigger: null, tokens_before: 50, tokens_after: 20 };
    tell(
      { op: "open", at: 1, entry, kind: "compaction", step: 0 },
      { op: "open", at: 1, entry: entry + 1, kind: "summary", step: 0 },
    );
    tell({ op: "entry", at: 1, entry, set }, { op: "entry", at: 1, entry: entry + 1, set });
    expect(seen(pane.element, ".fill .at").map(textOf)).toEqual(["Context compacted  50 to 20 tokens"]);
    expect(seen(pane.element, ".notch").map((its) => its.style.left)).toEqual(["50%", "50%"]);
  });

  it("of a server that told nothing by step is not made up", () => {
    const { pane, tell } = shown("multi_step");
    tell({ op: "run", at: null, set: { usage: null } });
    expect(seen(pane.element, ".none").map(textOf)).toEqual(["This server reported no tokens by step."]);
    tell({ op: "run", at: null, set: { usage: { context_tokens: 1915 } as never } });
    expect(seen(pane.element, ".none").map(textOf)).toEqual([
      "This server reported no tokens by step. At the end the context held 1,915.",
    ]);
  });
});

describe("the context window in a view", () => {
  it("shows how full the window was, and where it was compacted", async () => {
    const root = await paneOf("multi2_tok_server", "4", [
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
    const root = await paneOf(
      "multi2_tok_server",
      "4",
      [0, 1, 2, 3].map((step): Change => ({ op: "step", at: null, step, context_window: null })),
    );
    expect(seen(root, ".none").map(textOf).join("")).toContain("The size of the context window is not known");
  });
});
