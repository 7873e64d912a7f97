import { describe, expect, it } from "vitest";
import type { Change } from "../src/page.gen";
import { liveSpan, ticks, time } from "../src/time";
import { laneHeight } from "../src/view/plot";
import { Growing } from "../src/view/text";
import { isDark } from "../src/view/theme";
import widget from "../src/widget";
import { fakeModel, frame, rootOf } from "./util";

describe("growing text", () => {
  const grown = (text: string, by: number): HTMLElement => {
    const element = document.createElement("div");
    const growing = new Growing(element);
    const caret = document.createElement("span");
    growing.update("", caret);
    growing.update("", caret);
    for (let n = by; n < text.length + by; n += by) growing.update(text.slice(0, n), caret);
    expect(element.lastElementChild?.lastElementChild).toBe(caret);
    return element;
  };

  it.each([1, 7, 4096, 100_000])("stands in blocks that end with a line or a word, %i at a time", (by) => {
    const text = "word and word\nline\n".repeat(by === 1 ? 400 : 1200);
    const element = grown(text, by);
    expect(element.textContent).toBe(text);
    for (const block of [...element.children].slice(0, -1)) expect(block.textContent).toMatch(/[\n ]$/);
    expect(element.children.length).toBeGreaterThan(1);
  });

  it("begins anew when the text is another", () => {
    const element = document.createElement("div");
    const growing = new Growing(element);
    growing.update("a long text");
    growing.update("short");
    expect(element.textContent).toBe("short");
  });
});

describe("figures", () => {
  it("are rounded as the design says", () => {
    const shown = [0.4, 317, 4610, 16_000, 124_000, 3_724_000].map(time);
    expect(shown).toEqual(["0.4 ms", "317 ms", "4.61 s", "16.0 s", "2:04", "1:02:04"]);
  });

  it.each([
    [200, ["0", "50 ms", "100 ms", "150 ms", "200 ms"]],
    [12_261, ["0", "5 s", "10 s"]],
    [1_200_000, ["0", "5 min", "10 min", "15 min", "20 min"]],
  ])("an axis of %i ms has round ticks, six at most", (length, labels) => {
    expect(ticks(length as number).map((tick) => tick.label)).toEqual(labels);
  });

  it("a live axis is the next round length", () => {
    expect([0, 999, 1000, 9514, 65_000, 4e6].map(liveSpan)).toEqual([1e3, 1e3, 2e3, 1e4, 12e4, 5.4e6]);
  });

  it("the waterfall is never over 160 px", () => {
    for (const count of [1, 8, 9, 24, 25, 72]) expect(count * laneHeight(count)).toBeLessThanOrEqual(160);
  });
});

describe("theme", () => {
  it.each([
    ["rgb(255, 255, 255)", false],
    ["rgb(17, 19, 21)", true],
    ["rgba(0, 0, 0, 0)", null],
    ["color(srgb 0.1 0.1 0.12)", true],
    ["oklch(0.2 0 0)", null],
  ])("%s", (color, dark) => expect(isDark(color as string)).toBe(dark));
});

describe("a very long live run", () => {
  it("keeps the newest steps in the page, and the rest behind a button", async () => {
    const fake = fakeModel("long-run");
    const el = document.body.appendChild(document.createElement("div"));
    const ends = [widget.initialize({ model: fake.model }), widget.render({ model: fake.model, el })];
    let seq = 0;
    const emit = (changes: Change[]): void => fake.emit("msg:custom", { seq: ++seq, now: seq, changes });
    emit([{ op: "run", at: 0, set: { status: "running", timed: true, delivery: "token" } }]);
    for (let step = 0; step < 200; step++) {
      emit([
        { op: "step", at: step, step },
        { op: "open", at: step, entry: step, kind: "assistant", step },
        { op: "text", entry: step, text: `said ${step}`, marks: [step, `said ${step}`.length] },
      ]);
      if (step % 10 === 9) await frame();
    }
    const root = rootOf(el);
    expect(root.querySelectorAll(".tx > .step").length).toBeLessThan(100);
    expect(root.querySelector(".tx")?.textContent).toContain("said 198");
    root.querySelector<HTMLElement>(".middle .lk")?.click();
    expect(root.querySelector(".tx")?.textContent).toContain("said 100");
    for (const end of ends) end();
    el.remove();
  });
});
