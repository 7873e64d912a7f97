import { describe, expect, it, vi } from "vitest";
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

describe("a saved output", () => {
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
