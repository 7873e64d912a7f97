import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Kernel, Saved } from "../src/outside";
import type { ToKernel } from "../src/page.gen";

describe("what a live view asks the kernel", () => {
  it("is asked again until all has come, and not at every event", () => {
    vi.useFakeTimers();
    const sent: ToKernel[] = [];
    let running = true;
    const kernel: Kernel = new Kernel(
      (words) => sent.push(words),
      () => running,
      () => kernel.raw.ask(),
    );
    const haves = (): unknown[] => sent.map((words) => (words as { have: number }).have);
    for (let n = 0; n < 5; n++) kernel.raw.ask();
    expect(haves()).toEqual([0]);
    kernel.heard({ what: "raw", have: 0, lines: ["h", "a"], more: true });
    expect(haves()).toEqual([0, 2]);
    running = false;
    kernel.heard({ what: "raw", have: 2, lines: ["b"], more: false });
    expect(haves()).toEqual([0, 2]);
    vi.advanceTimersByTime(600);
    expect(haves()).toEqual([0, 2, 3]);
    kernel.heard({ what: "raw", have: 3, lines: [], more: false });
    vi.advanceTimersByTime(60_000);
    expect([haves(), kernel.raw.complete, kernel.raw.lines]).toEqual([[0, 2, 3], true, ["h", "a", "b"]]);
    vi.useRealTimers();
  });

  it("is asked again when it went unheard, and told twice is told once", () => {
    vi.useFakeTimers();
    const sent: ToKernel[] = [];
    const kernel: Kernel = new Kernel(
      (words) => sent.push(words),
      () => true,
      () => kernel.raw.ask(),
    );
    kernel.raw.ask();
    kernel.raw.ask();
    vi.advanceTimersByTime(3100);
    expect(sent).toHaveLength(2);
    for (let n = 0; n < 2; n++) kernel.heard({ what: "raw", have: 0, lines: ["h", "a"], more: false });
    expect(kernel.raw.lines).toEqual(["h", "a"]);
    vi.useRealTimers();
  });

  it("takes no lines whose beginning it has not: another page of the notebook asked for them", () => {
    const kernel = new Kernel(
      () => {},
      () => true,
      () => {},
    );
    kernel.heard({ what: "raw", have: 1000, lines: ["a thousandth"], more: false });
    expect(kernel.raw.lines).toEqual([]);
    kernel.heard({ what: "raw", have: 0, lines: ["h"], more: false });
    expect(kernel.raw.lines).toEqual(["h"]);
  });

  it("gives a file, and null where there is none", async () => {
    const kernel = new Kernel(
      () => {},
      () => false,
      () => {},
    );
    const file = kernel.text("file");
    expect(kernel.heard({ what: "file", have: 0, lines: ["text"], more: false })).toBe(true);
    expect(await file).toBe("text");
    const none = kernel.text("html");
    kernel.heard({ what: "html", have: 0, lines: [], more: false });
    expect(await none).toBeNull();
    expect(kernel.heard({ seq: 1, changes: [] })).toBe(false);
  });
});

describe("a text that the kernel is asked for", () => {
  const asking = (): { kernel: Kernel; sent: string[]; tell(what: "file" | "html" | "more", text: string): void } => {
    const sent: string[] = [];
    const kernel = new Kernel(
      (words) => sent.push((words as { what: string }).what),
      () => false,
      () => {},
    );
    return { kernel, sent, tell: (what, text) => void kernel.heard({ what, have: 0, lines: [text], more: false }) };
  };
  /** Code that gives itself, as `more.js` does. */
  const code = `document.lnbScript?.lnbMore?.({ css: "here" })`;

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("is given to all who asked for it, and asked for once", async () => {
    const { kernel, sent, tell } = asking();
    const both = [kernel.text("file"), kernel.text("file"), kernel.text("html")];
    expect(sent).toEqual(["file", "html"]);
    tell("file", "a file");
    tell("html", "a page");
    expect(await Promise.all(both)).toEqual(["a file", "a file", "a page"]);
    const again = kernel.text("file");
    expect(sent).toEqual(["file", "html", "file"]);
    tell("file", "a longer one");
    expect(await again).toBe("a longer one");
  });

  it("is asked for again when it went unheard, and at last is not to be had", async () => {
    const { kernel, sent, tell } = asking();
    const late = kernel.text("html");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent).toEqual(["html", "html"]);
    tell("html", "late");
    expect(await late).toBe("late");
    const never = kernel.text("file");
    const refused = expect(never).rejects.toThrow("the kernel does not answer");
    await vi.advanceTimersByTimeAsync(30_000);
    await refused;
    expect(sent.filter((what) => what === "file")).toHaveLength(3);
    const next = kernel.text("file");
    tell("file", "there it is");
    expect(await next).toBe("there it is");
  });

  it("if it is code, is asked for again by the next who wants it", async () => {
    const { kernel, sent, tell } = asking();
    const refused = [kernel.more(), kernel.more()].map((its) => expect(its).rejects.toThrow("does not answer"));
    await vi.advanceTimersByTimeAsync(9000);
    await Promise.all(refused);
    expect(sent).toEqual(["more", "more", "more"]);
    const more = kernel.more();
    // this page runs no scripts: what runs them gives what they would give
    vi.spyOn(document.head, "append").mockImplementation((script) => {
      expect((script as HTMLScriptElement).textContent).toBe(code);
      (script as unknown as { lnbMore(it: unknown): void }).lnbMore({ css: "here" });
    });
    tell("more", code);
    expect((await more).css).toBe("here");
    expect(kernel.more()).toBe(kernel.more());
    expect(sent).toHaveLength(4);
  });
});

describe("a saved output", () => {
  it("tries again to unpack its code when that has failed", async () => {
    let times = 0;
    const saved = new Saved(
      async () => {
        if (times++ === 0) throw new Error("not now");
        return { css: "here" } as never;
      },
      null,
      () => null,
      () => {},
    );
    await expect(saved.more()).rejects.toThrow("not now");
    expect((await saved.more()).css).toBe("here");
    await saved.more();
    expect(times).toBe(2);
  });

  it("that cannot be unpacked says so", async () => {
    let changed = 0;
    const saved = new Saved(
      async () => ({}) as never,
      async () => {
        throw new Error("no gzip here");
      },
      () => null,
      () => changed++,
    );
    saved.raw.ask();
    await expect.poll(() => changed).toBe(1);
    expect([saved.raw.complete, saved.raw.problem]).toEqual([true, "The raw events of this output cannot be read."]);
    expect(await saved.text("file")).toBeNull();
  });

  it("shows its raw events after its file was saved too", async () => {
    const saved = new Saved(
      async () => ({}) as never,
      async () => "h\na\n",
      () => null,
      () => {},
    );
    expect(await saved.text("file")).toBe("h\na\n");
    saved.raw.ask();
    await expect.poll(() => saved.raw.complete).toBe(true);
    expect(saved.raw.lines).toEqual(["h", "a"]);
  });
});
