import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change } from "../src/page.gen";
import { bound, liveSpan, ticks, time } from "../src/time";
import { laneHeight } from "../src/view/laneheight";
import { Growing } from "../src/view/text";
import { isDark } from "../src/view/theme";
import { valueView } from "../src/view/value";
import widget from "../src/widget";
import { fakeModel, frame, rootOf, saved } from "./util";

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

  it("goes back to less of it, and on again", () => {
    const text = "word and word\nline\n".repeat(1200);
    const element = document.createElement("div");
    const growing = new Growing(element);
    for (const to of [20_000, 7_000, 4_001, 4_000, 12_000, 0, 300, text.length, 1, text.length]) {
      growing.update(text.slice(0, to));
      expect(element.textContent).toBe(text.slice(0, to));
    }
  });
});

describe("figures", () => {
  it("are rounded as the design says", () => {
    const shown = [0.4, 317, 4610, 16_000, 124_000, 3_724_000].map(time);
    expect(shown).toEqual(["0.4 ms", "317 ms", "4.61 s", "16.0 s", "2:04", "1:02:04"]);
  });

  it("of a bound are never under it", () => {
    const shown = [0.31, 6.6, 7, 999.2, 4611, 16_010, 59_920].map(bound);
    expect(shown).toEqual(["0.4 ms", "7 ms", "7 ms", "1.00 s", "4.62 s", "16.1 s", "1:00"]);
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

describe("JSON", () => {
  const shown = (text: string): string => valueView(text).textContent ?? "";

  it("is shown with the letters that were escaped", () => {
    expect(shown('{"caf\\u00e9": "\\u05d7\\u05D9\\ud83d\\ude00"}')).toBe('{"café": "חי😀"}');
    expect(valueView('{"caf\\u00e9": 1}', true).textContent).toBe('{"caf\\u00e9": 1}');
  });

  it.each(["\\u202e\\u00e9", "\\u0022\\u00e9", "\\\\u00e9", "\\ud83d", "\\u000a"])(
    "keeps %s, which is not seen as it stands",
    (text) => {
      expect(shown(`{"a": "${text}"}`)).toBe(`{"a": "${text}"}`);
    },
  );
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

/** Says which elements come near and go far, as a browser would that lays out the page. */
class Observer {
  static readonly all: Observer[] = [];
  readonly watched = new Set<Element>();
  root: Element | null = null;

  constructor(private readonly tell: (entries: { target: Element; isIntersecting: boolean }[]) => void) {
    Observer.all.push(this);
  }

  observe(element: Element): void {
    this.watched.add(element);
  }

  disconnect(): void {
    this.watched.clear();
  }

  static move(element: Element, isIntersecting: boolean): void {
    for (const its of Observer.all) if (its.watched.has(element)) its.tell([{ target: element, isIntersecting }]);
  }
}

describe("a very long live run", () => {
  const real = globalThis.IntersectionObserver;
  beforeEach(() => {
    globalThis.IntersectionObserver = Observer as never;
  });
  afterEach(() => {
    globalThis.IntersectionObserver = real;
    document.body.replaceChildren();
  });

  it("holds only what is near to the reader, and all of it when it is printed", async () => {
    const fake = fakeModel("long-run");
    const el = document.body.appendChild(document.createElement("div"));
    const ends = [widget.initialize({ model: fake.model }), widget.render({ model: fake.model, el })];
    let seq = 0;
    const emit = (changes: Change[]): void => fake.emit("msg:custom", { seq: ++seq, changes });
    emit([{ op: "run", at: 0, set: { status: "running", timed: true, delivery: "token" } }]);
    for (let step = 0; step < 200; step++) {
      emit([
        { op: "step", at: step, step },
        { op: "open", at: step, entry: step, kind: "assistant", step },
        { entry: step, text: `said ${step}`, at: step },
      ]);
      if (step % 10 === 9) await frame();
    }
    const root = rootOf(el);
    const steps = [...root.querySelectorAll(".tx > .step:not(.tail)")];
    expect(steps).toHaveLength(200);
    for (const step of steps.slice(0, -5)) Observer.move(step, false);
    expect(root.querySelectorAll(".tx .row")).toHaveLength(5);
    expect(root.querySelector(".tx")?.textContent).toContain("said 198");
    Observer.move(steps[7] as Element, true);
    expect(steps[7]?.textContent).toContain("said 7");
    window.dispatchEvent(new Event("beforeprint"));
    expect(root.querySelectorAll(".tx .row")).toHaveLength(200);
    for (const end of ends) end();
  });

  it("is drawn at its beginning and its end, and step by step as they come near", () => {
    const changes: Change[] = [{ op: "run", at: 0, set: { status: "completed", timed: true, ended: 500 } }];
    for (let step = 0; step < 500; step++) {
      changes.push(
        { op: "step", at: step, step },
        { op: "open", at: step, entry: step, kind: "assistant", step },
        { entry: step, text: `said ${step}`, at: step },
      );
    }
    const root = rootOf(saved({ seq: 0, now: 500, changes }));
    expect([...root.querySelectorAll(".tx .row")].map((row) => row.textContent?.match(/\d+$/)?.[0])).toHaveLength(6);
    root.querySelector<HTMLElement>(".middle .lk")?.click();
    expect(root.querySelectorAll(".tx > .step:not(.tail)")).toHaveLength(500);
    expect(root.querySelectorAll(".tx .row").length).toBeLessThan(50);
    Observer.move(root.querySelectorAll(".tx > .step")[300] as Element, true);
    expect(root.querySelector(".tx")?.textContent).toContain("said 300");
  });
});
