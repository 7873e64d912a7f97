import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Markdown } from "../src/markdown";
import type { Change, Snapshot } from "../src/page.gen";
import { Highlights } from "../src/view/highlights";
import { Growing } from "../src/view/text";
import { frame, load, press, rootOf, saved, searching, seen } from "./util";

const registry = new Map<string, Set<Range>>();

beforeEach(() => {
  registry.clear();
  vi.stubGlobal("CSS", { highlights: registry });
  vi.stubGlobal("Highlight", Set);
});
afterEach(() => {
  vi.unstubAllGlobals();
  document.body.replaceChildren();
});

const words = (name: string): string[] => [...(registry.get(name) ?? [])].map((range) => range.toString());
const marked = (): string[] => words("lnb-match");
const row = (list: HTMLElement, content: Element, n = 0): HTMLElement => {
  const line = document.createElement("div");
  line.className = "r";
  line.dataset.key = `e${n}`;
  const its = document.createElement("div");
  its.append(line, content);
  list.append(its);
  return its;
};
const drawn = (text: string, by = 3): HTMLElement => {
  const answer = new Markdown();
  for (let n = 0; n < text.length; n += by) answer.update(text.slice(0, n), false);
  answer.update(text, true);
  return answer.element;
};

let ends = new AbortController();
function marks(query: string, ...contents: Element[]): Highlights {
  ends = new AbortController();
  const list = document.body.appendChild(document.createElement("div"));
  contents.forEach((content, n) => {
    row(list, content, n);
  });
  const made = new Highlights(ends.signal);
  made.mark(list, query, null);
  return made;
}

it.each([
  ["text that came in pieces", "one road after the other", "road after", ["road after"]],
  ["bold", "a **quiet** road", "quiet road", ["quiet road"]],
  ["a code span", "call `get_weather` now", "call get_weather n", ["call get_weather n"]],
  ["the end of one node and the beginning of the next", "a**b**a**b**", "ab", ["ab", "ab"]],
  ["lines of code", "```py\ndef f(x):\n    return x\n```", "def f(x)", ["def f(x)"]],
  ["no two paragraphs", "one\n\ntwo", "onetwo", []],
  ["no two cells", "| one | two |\n|---|---|\n| a | b |\n", "onetwo", []],
  ["an item, but not the list in it", "- one\n  - two\n- **th**ree", "three", ["three"]],
])("a match goes over %s", (_, text, query, found) => {
  marks(query, drawn(text));
  expect(marked()).toEqual(found);
});

it("a match goes over the blocks of a long text", () => {
  const box = document.createElement("div");
  box.className = "whole";
  const text = Array.from({ length: 3000 }, (_, n) => `word${n}`).join(" ");
  new Growing(box).update(text);
  expect(box.children.length).toBeGreaterThan(1);
  const at = (box.firstChild?.textContent ?? "").length;
  const over = text.slice(at - 9, at + 9);
  marks(over, box);
  expect(marked()).toEqual([over]);
  const [range] = registry.get("lnb-match") ?? [];
  expect(range?.startContainer).not.toBe(range?.endContainer);
});

it("marks come again in what is drawn later, and go with the view", async () => {
  marks("road", drawn("a road"));
  const list = document.body.lastElementChild as HTMLElement;
  expect(marked()).toEqual(["road"]);
  row(list, drawn("another ro**ad**"), 1);
  await expect.poll(marked).toEqual(["road", "road"]);
  list.firstElementChild?.remove();
  await expect.poll(marked).toEqual(["road"]);
  ends.abort();
  row(list, drawn("a third road"), 2);
  await new Promise((done) => setTimeout(done));
  expect(marked()).toEqual([]);
});

/** A run of many steps, of which a reader sees the ends. */
function long(): Snapshot {
  const changes: Change[] = [
    { op: "run", at: 0, set: { uid: "marks-long", status: "completed", timed: true, ended: 9000 } },
  ];
  for (let n = 0; n < 20; n++) {
    changes.push({ op: "open", at: n * 100, entry: n, kind: "assistant", step: n });
    changes.push({ entry: n, text: `the **quiet** road of step ${n}`, at: n * 100 + 50 });
  }
  return { seq: 1, now: 9000, changes };
}

it("marks come again when the steps in the middle are shown, and the current one is where the reader goes", async () => {
  const root = rootOf(saved(long()));
  const input = await searching(root);
  input.value = "quiet road";
  input.dispatchEvent(new Event("input"));
  const rows = (): number => seen(root, ".tx .r[data-key^=e]").length;
  await expect.poll(() => marked().length).toBe(rows() - 1);
  const few = rows();
  expect(few).toBeLessThan(20);
  for (let n = 0; n < 7; n++) press(root, "Enter", input);
  expect(rows()).toBe(20);
  expect(marked()).toHaveLength(19);
  expect(words("lnb-current")).toEqual(["quiet road"]);
  const [current] = registry.get("lnb-current") ?? [];
  expect(current?.startContainer.parentElement?.closest(".row")?.textContent).toContain("step 7");
});

it("marks come again when 'show steps' is pressed, with no other word from the view", async () => {
  const changes = long().changes.map((change, n) =>
    n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: "marks-all" } } : change,
  );
  const root = rootOf(saved({ ...long(), changes }));
  const input = await searching(root);
  input.value = "quiet road";
  input.dispatchEvent(new Event("input"));
  await expect.poll(() => marked().length).toBeGreaterThan(0);
  seen(root, ".middle .lk")[0]?.click();
  await expect.poll(() => marked().length).toBe(19);
});

it("a long table and folded JSON are marked as they are unfolded", async () => {
  const [open] = load("multi2_tok_server").changes.flatMap((its) =>
    its.op === "open" && its.kind === "tool_call" ? [its] : [],
  );
  const result = JSON.stringify(Array.from({ length: 50 }, (_, n) => ({ road: `via ${n}`, km: n })));
  const changes: Change[] = [
    ...load("multi2_tok_server").changes,
    { op: "run", at: null, set: { uid: "marks-table" } },
    { op: "entry", at: 9000, entry: open?.entry ?? 0, set: { result, status: "success", returned: 9000 } },
  ];
  const root = rootOf(saved({ ...load("multi2_tok_server"), changes }));
  seen(root, `.r[data-key=e${open?.entry}]`)[0]?.click();
  const input = await searching(root);
  input.value = "via ";
  input.dispatchEvent(new Event("input"));
  await expect.poll(() => marked().length + words("lnb-current").length).toBe(20);
  seen(root, ".lk")
    .find((its) => its.textContent?.startsWith("Show all 50 rows"))
    ?.click();
  await expect.poll(() => marked().length + words("lnb-current").length).toBe(50);
});

it("the current match brings the rest of a very long answer with it", async () => {
  const text = `${"one line of it\n\n".repeat(4000)}the road at last\n`;
  const changes: Change[] = [
    { op: "run", at: 0, set: { uid: "marks-giant", status: "completed", timed: true, ended: 9 } },
    { op: "open", at: 1, entry: 0, kind: "assistant", step: 0 },
    { entry: 0, text, at: 2 },
  ];
  const root = rootOf(saved({ seq: 0, now: 9, changes }));
  expect(root.querySelectorAll(".md p").length).toBeLessThan(2500);
  const input = await searching(root);
  input.value = "road";
  input.dispatchEvent(new Event("input"));
  expect(seen(root, ".nn").map((its) => its.textContent)).toEqual(["1 of 1"]);
  await frame();
  await expect
    .poll(() => {
      press(root, "Enter", input);
      return words("lnb-current");
    })
    .toEqual(["road"]);
  expect(root.querySelectorAll(".md p")).toHaveLength(4001);
});
