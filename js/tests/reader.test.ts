/** Where a reader is, who works by keyboard: kept when what had the focus goes, and when the whole view does. */

import { afterEach, describe, expect, it, vi } from "vitest";
import type { Change, Snapshot } from "../src/page.gen";
import type { Store } from "../src/store";
import { uiOf } from "../src/view/ui";
import { frame, live, load, press, rootOf, saved, searching, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

const focused = (root: ShadowRoot): string => {
  const its = root.activeElement as HTMLElement | null;
  return its?.dataset.key ?? its?.getAttribute("aria-label") ?? "";
};
const within = (root: ShadowRoot, selector: string): HTMLElement => root.querySelector(selector) as HTMLElement;
const stop = (root: ShadowRoot): HTMLElement => seen(root, ".btn").find((its) => textOf(its) === "Stop") as HTMLElement;

let seq = 0;
const tell = (store: Store, ...changes: Change[]): void => void store.receive({ seq: ++seq, changes });
const begin = (store: Store): void => {
  seq = 0;
  tell(
    store,
    { op: "run", at: 0, set: { status: "running", timed: true } },
    { op: "open", at: 1, entry: 0, kind: "reasoning", step: 0 },
    { entry: 0, text: "The person asks about the road.\nIt is long, and there are two ways to go.", at: 2 },
  );
};

function long(steps: number, failing: number[] = [], uid = `long-${Math.random()}`): Snapshot {
  const changes: Change[] = [{ op: "run", at: 0, set: { uid, status: "completed", timed: true, ended: steps * 100 } }];
  for (let n = 0; n < steps; n++) {
    changes.push({ op: "open", at: n * 100, entry: n, kind: "tool_call", step: n });
    changes.push({ entry: n, text: "{}", at: n * 100 + 50 });
    const status = failing.includes(n) ? "error" : "success";
    changes.push({
      op: "entry",
      at: n * 100 + 80,
      entry: n,
      set: { name: `road_${n}`, status, result: "" },
    });
  }
  return { seq: 1, now: steps * 100, changes };
}

describe("the focus", () => {
  it("goes to the transcript when Stop, which had it, goes", async () => {
    const { store, root, end } = live();
    begin(store);
    await frame();
    stop(root).focus();
    stop(root).click();
    await frame();
    expect(textOf(root.activeElement as HTMLElement)).toBe("Stopping");
    tell(store, { op: "run", at: 9, set: { status: "cancelled", ended: 9 } });
    await frame();
    expect(focused(root)).toBe("Transcript");
    end();
  });

  it("is where it was in the view that comes in another's place, with what was typed", async () => {
    const uid = "its-saved-view";
    const { store, root, end } = live([], uid);
    begin(store);
    await frame();
    const input = await searching(root);
    input.value = "road";
    input.dispatchEvent(new Event("input"));
    input.setSelectionRange(1, 3);
    end();
    document.body.replaceChildren();
    const output = saved(long(3, [], uid));
    await expect.poll(() => focused(rootOf(output))).toBe("Search in this run");
    const now = rootOf(output).activeElement as HTMLInputElement;
    expect([now.value, now.selectionStart, now.selectionEnd]).toEqual(["road", 1, 3]);
  });

  it("is on the row, or the button, that it was on", async () => {
    const uid = "its-row";
    const { store, root, end } = live([], uid);
    begin(store);
    await frame();
    within(root, "[data-key=e0]").focus();
    end();
    document.body.replaceChildren();
    await frame();
    expect(focused(rootOf(saved(long(3, [], uid))))).toBe("e0");
  });

  it("leaves the place in the list alone when the box that was there tells once more that it scrolled", async () => {
    const uid = "its-place";
    const { store, root, end } = live([], uid);
    begin(store);
    await frame();
    const box = within(root, ".box");
    Object.defineProperties(box, { scrollHeight: { value: 900 }, clientHeight: { value: 400 } });
    box.scrollTop = 500;
    box.dispatchEvent(new Event("scroll"));
    expect(uiOf(uid).top).toBe(Number.POSITIVE_INFINITY);
    end();
    document.body.replaceChildren();
    box.scrollTop = 0;
    box.dispatchEvent(new Event("scroll"));
    expect(uiOf(uid).top).toBe(Number.POSITIVE_INFINITY);
  });

  it("stays where the reader took it", async () => {
    const { store, root, end } = live();
    const elsewhere = document.body.appendChild(document.createElement("button"));
    begin(store);
    await frame();
    within(root, ".box").focus();
    elsewhere.focus();
    tell(store, { op: "run", at: 9, set: { status: "completed", ended: 9 } });
    await frame();
    expect(document.activeElement).toBe(elsewhere);
    end();
  });

  it("is not taken back from who left it, nor from the page around a frame", async () => {
    const { store, root, end } = live();
    begin(store);
    await frame();
    stop(root).focus();
    tell(store, { op: "run", at: 9, set: { status: "requires_approval" } });
    await frame();
    expect(focused(root)).toBe("Transcript");
    (root.activeElement as HTMLElement).blur();
    tell(store, { op: "run", at: 9, set: { status: "completed", ended: 9 } });
    await frame();
    expect(root.activeElement).toBeNull();
    // a frame whose page has the focus: what had it here goes, and nothing takes its place
    within(root, "[data-key=e0]").focus();
    const has = vi.spyOn(document, "hasFocus").mockReturnValue(false);
    store.travel(0);
    await frame();
    expect(focused(root)).not.toBe("Transcript");
    has.mockRestore();
    end();
  });

  it("is not taken by another view of the run, which stood there already", async () => {
    const now = vi.spyOn(performance, "now");
    const [one, other] = [live([], "shared"), live([], "shared")];
    for (const { store } of [one, other]) begin(store);
    await frame();
    within(one.root, "[data-key=e0]").focus();
    const later = performance.now() + 5000;
    now.mockImplementation(() => later);
    one.end();
    await frame();
    tell(other.store, { op: "run", at: 9, set: { status: "completed", ended: 9 } });
    await frame();
    expect(other.root.activeElement).toBeNull();
    now.mockRestore();
    other.end();
  });

  it("stays where it went while the search bar was on its way", async () => {
    const { store, root, end } = live();
    const elsewhere = document.body.appendChild(document.createElement("textarea"));
    begin(store);
    await frame();
    press(root, "/");
    elsewhere.focus();
    await expect.poll(() => root.querySelector(".find")).not.toBeNull();
    await frame();
    expect(document.activeElement).toBe(elsewhere);
    end();
  });

  it("leaves by Escape, to what takes it around the view", async () => {
    const cell = document.body.appendChild(document.createElement("div"));
    cell.tabIndex = -1;
    const output = saved(load("multi2_tok_server"));
    cell.append(output);
    const root = rootOf(output);
    within(root, ".box").focus();
    press(root, "?", root.activeElement as HTMLElement);
    await expect.poll(() => seen(root, ".keys").length).toBe(1);
    press(root, "Escape", root.activeElement as HTMLElement);
    expect([seen(root, ".keys").length, document.activeElement]).toEqual([0, output.querySelector(".lnb-host")]);
    press(root, "Escape", root.activeElement as HTMLElement);
    expect([root.activeElement, document.activeElement]).toEqual([null, cell]);
  });

  it("stays in the view for an Escape that is about the list of keys, though that is still on its way", async () => {
    const root = rootOf(saved(load("multi2_tok_server")));
    within(root, ".box").focus();
    press(root, "?", root.activeElement as HTMLElement);
    press(root, "Escape", root.activeElement as HTMLElement);
    expect(focused(root)).toBe("Transcript");
    await frame();
    expect(seen(root, ".keys")).toHaveLength(0);
  });

  it("goes to the first and the last tab by Home and End, and the run stays at its end", () => {
    const root = rootOf(saved(load("multi2_tok_server")));
    const chosen = (): string => seen(root, "[role=tab][aria-selected=true]").map(textOf).join();
    within(root, "[role=tab]").focus();
    press(root, "End", root.activeElement as HTMLElement);
    expect([chosen(), seen(root, ".status").map(textOf).join()]).toEqual(["Context", "Completed"]);
    press(root, "Home", root.activeElement as HTMLElement);
    expect(chosen()).toBe("Transcript");
  });

  it("types a chord through a field of the view", async () => {
    const output = saved(load("multi2_tok_server"));
    const input = await searching(rootOf(output));
    const heard: string[] = [];
    output.addEventListener("keydown", (event) => heard.push(event.key));
    for (const init of [{ key: "s", ctrlKey: true }, { key: "s", metaKey: true }, { key: "s" }])
      input.dispatchEvent(new KeyboardEvent("keydown", { ...init, bubbles: true, composed: true }));
    expect(heard).toEqual(["s", "s"]);
  });
});

describe("steps of the middle", () => {
  const links = (root: ShadowRoot): string[] => seen(root, ".middle").map(textOf);
  const press1 = (root: ShadowRoot, n: number): void => within(seen(root, ".middle")[n] as never, "button").click();

  it("are shown where they were hidden, and no others", async () => {
    const root = rootOf(saved(long(40, [20])));
    expect(links(root)).toEqual(["Show steps 3 to 20", "Show steps 22 to 36"]);
    const before = seen(root, ".tx>.step:not(.middle)");
    press1(root, 1);
    expect(links(root)).toEqual(["Show steps 3 to 20"]);
    const names = seen(root, ".tx .nm").map(textOf);
    expect(names).toEqual([0, 1, ...Array.from({ length: 20 }, (_, n) => n + 20)].map((n) => `road_${n}`));
    // nothing that was there was drawn anew
    for (const its of before) expect(its.isConnected).toBe(true);
    expect((root.activeElement as HTMLElement).closest(".step")?.textContent).toContain("road_21");
    await frame();
    expect(links(root)).toEqual(["Show steps 3 to 20"]);
  });

  it("are all on paper, and no more than before in the page", () => {
    const run = long(40, [20]);
    const root = rootOf(saved(run));
    const before = links(root);
    window.dispatchEvent(new Event("beforeprint"));
    expect([links(root), seen(root, ".tx .nm").length]).toEqual([[], 40]);
    window.dispatchEvent(new Event("afterprint"));
    expect([links(root), links(rootOf(saved(run)))]).toEqual([before, before]);
  });

  it("are there in another view of the run, and where a lane leads", () => {
    const run = long(40, [20]);
    const root = rootOf(saved(run));
    press1(root, 0);
    (root.activeElement as HTMLElement).blur();
    expect(links(rootOf(saved(run)))).toEqual(["Show steps 22 to 36"]);
    expect(links(root)).toEqual(["Show steps 22 to 36"]);
  });
});

describe("a step", () => {
  const steps = (name: string): string[] => seen(rootOf(saved(load(name))), ".tx>.step").map(textOf);

  it("of which nothing arrived has its row", () => {
    expect(steps("err500_tok").at(-1)).toMatch(/^1Nothing arrived[\d.]+ m?s$/);
    expect(steps("err2_tok").at(-1)).toMatch(/^2Nothing arrived[\d.]+ m?s$/);
    expect(steps("hello_tok").join()).not.toContain("Nothing arrived");
  });

  it("folds when there is a newer one, unless the reader touched it", async () => {
    const { store, root, end } = live();
    begin(store);
    await frame();
    const open = (): string =>
      seen(root, ".tx [aria-expanded=true]")
        .map((its) => its.dataset.key)
        .join();
    expect(open()).toBe("e0");
    tell(
      store,
      { op: "open", at: 5, entry: 1, kind: "reasoning", step: 1 },
      { entry: 1, text: "Now the other way.\nIt is shorter, and nobody goes there.", at: 6 },
    );
    await frame();
    expect(open()).toBe("e1");
    end();
  });
});

describe("an earlier moment", () => {
  it("leaves everything in its place", async () => {
    const root = rootOf(saved(load("multi2_tok_server")));
    const before = within(root, ".sum").childElementCount;
    expect(before).toBeGreaterThan(2);
    press(root, "Home");
    await frame();
    expect(within(root, ".sum").childElementCount).toBe(before);
    const hidden = [...within(root, ".sum").children].filter((its) => (its as HTMLElement).style.visibility);
    expect(hidden).toHaveLength(before);
    // what a lane is called is not known yet
    expect(seen(root, ".ln .lb").map(textOf).join("")).toBe("");
    press(root, "End");
    await frame();
    expect(seen(root, ".ln .lb").map(textOf).join("")).not.toBe("");
  });
});

it("what is said of the end keeps its place at an earlier moment, unseen", async () => {
  const root = rootOf(saved(load("disc_tok")));
  const say = within(root, ".say");
  press(root, "Home");
  await frame();
  expect([say.hidden, say.style.visibility]).toEqual([false, "hidden"]);
  press(root, "End");
  await frame();
  expect([say.hidden, say.style.visibility]).toEqual([false, ""]);
});

it("the hover card comes for a pointer that moves, not for one that rests", async () => {
  const root = rootOf(saved(load("multi2_tok_server")));
  const tokens = within(root, ".toks");
  tokens.dispatchEvent(new PointerEvent("pointerenter"));
  await new Promise((done) => setTimeout(done, 120));
  expect(seen(root, ".card:not(.keys)")).toHaveLength(0);
  tokens.dispatchEvent(new PointerEvent("pointermove"));
  await expect.poll(() => seen(root, ".card:not(.keys)").map(textOf).join()).toContain("Tokens");
  tokens.dispatchEvent(new PointerEvent("pointerleave"));
  await expect.poll(() => seen(root, ".card:not(.keys)").length).toBe(0);
});
