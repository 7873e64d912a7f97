import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mount } from "../src/frozen";
import type { Change, Snapshot } from "../src/page.gen";
import type { More } from "../src/view/context";
import { complaints, frame, load, more, press, rootOf, seen, textOf } from "./util";

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

let runs = 0;

/** A saved output whose code comes, or fails to come, when the test says so. */
class Late {
  readonly root: ShadowRoot;
  asked = 0;
  private waiting: { resolve(it: More): void; reject(problem: Error): void }[] = [];

  constructor(snapshot: Snapshot) {
    const output = document.body.appendChild(document.createElement("div"));
    output.append(Object.assign(document.createElement("div"), { className: "lnb-bare" }));
    const uid: Change = { op: "run", at: 0, set: { uid: `late-${++runs}` } };
    const code = (): Promise<More> => {
      this.asked++;
      return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
    };
    mount(output, { ...snapshot, changes: [...snapshot.changes, uid] }, code, null);
    this.root = rootOf(output);
  }

  async come(other: Partial<More> = {}): Promise<void> {
    const its = { ...(await more()), ...other };
    for (const { resolve } of this.waiting.splice(0)) resolve(its);
    await frame();
  }

  async fail(): Promise<void> {
    for (const { reject } of this.waiting.splice(0)) reject(new Error("not here"));
    await frame();
  }

  said(selector: string): string {
    return seen(this.root, selector).map(textOf).join("|");
  }

  press(selector: string): void {
    this.root.querySelector<HTMLElement>(selector)?.click();
  }
}

function steps(count: number): Snapshot {
  const changes: Change[] = [{ op: "run", at: 0, set: { status: "completed", timed: true, ended: count * 100 } }];
  for (let n = 0; n < count; n++) {
    changes.push({ op: "open", at: n * 100, entry: n, kind: "assistant", step: n });
    changes.push({ entry: n, text: `road ${n}`, at: n * 100 + 50 });
  }
  return { seq: 1, now: count * 100, changes };
}

const LOST = "A part of this view could not be loaded.";

describe("code that is not here yet", () => {
  it("keeps the place of very many lanes until it comes", async () => {
    const late = new Late(steps(40));
    const lanes = late.root.querySelector(".lanes") as HTMLElement;
    expect(late.asked).toBe(1);
    const { height } = lanes.style;
    expect(Number.parseFloat(height)).toBeGreaterThan(100);
    expect([seen(lanes, ".ln").length, lanes.classList.contains("plot")]).toEqual([0, false]);
    await late.come();
    expect([seen(lanes, ".ln").length, lanes.classList.contains("plot")]).toEqual([3, true]);
    expect(lanes.style.height).toBe(height);
    expect(lanes.querySelectorAll("canvas")).toHaveLength(1);
  });

  it("draws out the time for a pointer that was down before it came", async () => {
    const late = new Late(steps(4));
    const lanes = late.root.querySelector(".lanes") as HTMLElement;
    const grid = lanes.querySelector(".grid") as HTMLElement;
    grid.getBoundingClientRect = () => new DOMRect(0, 0, 100, 80);
    lanes.setPointerCapture = () => {};
    const point = (type: string, clientX: number): boolean =>
      lanes.dispatchEvent(new PointerEvent(type, { clientX, buttons: 1, bubbles: true }));
    point("pointerenter", 20);
    point("pointerdown", 20);
    await late.come();
    point("pointermove", 60);
    expect(lanes.querySelectorAll(".drawn")).toHaveLength(1);
    point("pointerup", 60);
    expect(late.said(".zoom")).toContain("Whole run");
    expect(lanes.querySelectorAll(".drawn")).toHaveLength(0);
  });

  it("leaves them in rows if it never comes, and says so once", async () => {
    const late = new Late(steps(40));
    await late.fail();
    const lanes = late.root.querySelector(".lanes") as HTMLElement;
    expect([seen(lanes, ".ln").length, lanes.classList.contains("plot")]).toEqual([40, false]);
    expect(late.said(".say")).toContain(LOST);
    expect(late.said("[aria-live=polite].vh")).toContain(LOST);
    press(late.root, "E");
    press(late.root, "{");
    await frame();
    expect(late.asked).toBe(1);
    lanes.dispatchEvent(new PointerEvent("pointerenter"));
    expect(late.asked).toBe(2);
    await late.come();
    press(late.root, "End");
    await frame();
    expect(lanes.classList.contains("plot")).toBe(true);
    expect(late.said(".say")).toBe("");
  });

  it("plays once however often Play is pressed meanwhile", async () => {
    const late = new Late(load("multi2_tok_server"));
    const at = (): number => Number(late.root.querySelector(".rail")?.getAttribute("aria-valuenow"));
    const label = (): string | null | undefined => seen(late.root, ".pl .ico")[0]?.getAttribute("aria-label");
    for (let n = 0; n < 3; n++) late.press(".pl .ico");
    await late.come();
    expect(late.said(".status")).toBe("Earlier moment");
    expect(label()).toBe("Pause");
    await expect.poll(at).toBeGreaterThan(0);
    // one player, which one press stops
    late.press(".pl .ico");
    await expect.poll(label).toBe("Play");
    await frame();
    const stopped = at();
    await frame();
    await frame();
    expect(at()).toBe(stopped);
  });

  it("opens the menu once for a double click", async () => {
    const late = new Late(load("hello_tok"));
    late.press(".more .ico");
    late.press(".more .ico");
    await late.come();
    expect(late.said(".menu button")).toContain("Copy transcript");
    expect(late.root.querySelectorAll(".menu")).toHaveLength(1);
    late.press(".more .ico");
    await frame();
    expect(late.said(".menu")).toBe("");
  });
});

describe("code that cannot be had", () => {
  it.each<[string, (late: Late) => void, string, string]>([
    ["the menu", (late) => late.press(".more .ico"), ".menu button", "Copy transcript"],
    ["the keys", (late) => press(late.root, "?"), ".keys", "search and filters"],
    ["a pane", (late) => press(late.root, "4"), ".fill", "1"],
    ["Play", (late) => late.press(".pl .ico"), ".status", "Earlier moment"],
  ])("%s: says so, and comes when it is asked for again", async (name, ask, selector, words) => {
    const late = new Late(load("multi2_tok_server"));
    expect(late.said(".say")).toBe("");
    ask(late);
    await late.fail();
    expect(late.said(".say")).toContain(LOST);
    expect(await complaints()).toEqual([]);
    expect(late.said(selector)).not.toContain(words);
    if (name === "a pane")
      seen(late.root, "[role=tabpanel] .lk")
        .find((its) => textOf(its) === "Try again")
        ?.click();
    else ask(late);
    await late.come();
    expect(late.said(selector)).toContain(words);
    expect(late.said(".say")).toBe("");
    expect(late.asked).toBe(2);
  });

  it("offers panes again that could not be made", async () => {
    const late = new Late(load("multi2_tok_server"));
    press(late.root, "4");
    const panes = (): never => {
      throw new Error("of this run none can be made");
    };
    await late.come({ panes });
    expect(late.said("[role=tabpanel] .lk")).toContain("Try again");
    expect(late.said("[role=tabpanel]")).not.toContain("One moment");
  });

  it("leaves the legend's filters without the search bar, which is asked for again when it is asked for", async () => {
    const late = new Late(load("multi2_tok_server"));
    late.press(".sum [aria-pressed]:nth-of-type(2)");
    await late.fail();
    expect(late.said(".say")).toContain(LOST);
    expect(late.said(".tx .nm")).toBe("");
    expect(late.asked).toBe(1);
    await frame();
    expect(late.asked).toBe(1);
    press(late.root, "/");
    expect(late.asked).toBe(2);
    await late.come();
    expect(late.said(".say")).toBe("");
    expect(late.said(".chip[aria-pressed=false]")).toContain("Tools");
  });

  it("is said beside what else there is to say", async () => {
    const late = new Late(load("disc_tok"));
    const before = late.said(".say");
    expect(before).not.toBe("");
    late.press(".more .ico");
    await late.fail();
    expect(late.said(".say")).toContain(before.split(".")[0]);
    expect(late.said(".say")).toContain(LOST);
  });
});
