import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Change } from "../src/page.gen";
import { waterfall } from "../src/phases";
import { frame, press, rootOf, saved, seen } from "./util";

vi.mock("../src/phases", async (original) => {
  const real = await original<typeof import("../src/phases")>();
  return { ...real, waterfall: vi.fn(real.waterfall) };
});

/** Says when the output comes into view and goes out of it. */
class Observer {
  static tell: ((seen: { isIntersecting: boolean }[]) => void)[] = [];

  constructor(private readonly told: (seen: { isIntersecting: boolean }[]) => void) {}

  observe(element: Element): void {
    if (element.className === "lnb-host") Observer.tell.push(this.told);
  }

  disconnect(): void {}
}

const real = globalThis.IntersectionObserver;
beforeEach(() => {
  globalThis.IntersectionObserver = Observer as never;
  Observer.tell = [];
  vi.mocked(waterfall).mockClear();
});
afterEach(() => {
  globalThis.IntersectionObserver = real;
  document.body.replaceChildren();
});

function runOf(steps: number): Change[] {
  const changes: Change[] = [{ op: "run", at: 0, set: { status: "completed", timed: true, ended: steps * 100 } }];
  for (let step = 0; step < steps; step++) {
    const at = step * 100;
    changes.push(
      { op: "step", at, step },
      { op: "open", at, entry: step, kind: "reasoning", step },
      { entry: step, text: `one of ${step}\nanother line`, at: at + 50 },
    );
  }
  return changes;
}

describe("a saved run", () => {
  const times = (): number => vi.mocked(waterfall).mock.calls.length;

  it("is drawn once, with the canvas of its many lanes, and its times again when they change", async () => {
    const root = rootOf(saved({ seq: 0, now: 4000, changes: runOf(40) }));
    await expect.poll(() => root.querySelectorAll("canvas")).toHaveLength(1);
    expect(root.querySelector<HTMLElement>(".lanes")?.style.height).toBe("160px");
    await frame();
    expect(times()).toBe(1);
    seen(root, "button.r")[0]?.click();
    expect(root.querySelector(".whole")?.textContent).toContain("another line");
    expect(times()).toBe(1);
    press(root, "[", root.querySelector(".rail"));
    await frame();
    expect(times()).toBe(2);
  });

  it("is drawn again when it comes back into view, and not because it is there", async () => {
    saved({ seq: 0, now: 400, changes: runOf(4) });
    await frame();
    const asked = vi.spyOn(globalThis, "requestAnimationFrame");
    const view = (isIntersecting: boolean): void => {
      for (const tell of Observer.tell) tell([{ isIntersecting }]);
    };
    view(true);
    view(true);
    view(false);
    expect(asked).toHaveBeenCalledTimes(0);
    view(true);
    expect(asked).toHaveBeenCalledTimes(1);
    asked.mockRestore();
  });
});
