import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mount } from "../src/frozen";
import { safeUrl } from "../src/markdown";
import type { Change, Snapshot } from "../src/page.gen";
import widget from "../src/widget";
import { complaints, dice, fakeModel, frame, load, more, names, rootOf, saved, torn } from "./util";

beforeEach(() => document.body.replaceChildren());
afterEach(() => document.body.replaceChildren());

describe("saved output", () => {
  it.each(names)("%s is drawn, and the bare transcript steps back", (name) => {
    const output = saved(load(name));
    expect(rootOf(output).querySelector(".lnb .status")?.textContent).toBeTruthy();
    expect(output.querySelector<HTMLElement>(".lnb-bare")?.style.display).toBe("none");
    expect(rootOf(output).querySelectorAll(".tx .step").length).toBeGreaterThan(0);
  });

  it("run twice is one view", () => {
    const output = saved(load("hello_tok"));
    mount(output, load("hello_tok"), more, null);
    expect(output.querySelectorAll(".lnb-host")).toHaveLength(1);
  });

  it("that cannot be read leaves the bare transcript", () => {
    const output = saved({ seq: 0, now: 0, changes: [null as unknown as Change] });
    expect(output.textContent).toContain("This output could not be drawn. The transcript below is complete.");
    expect(output.querySelector<HTMLElement>(".lnb-bare")?.style.display).toBe("");
  });
});

describe("widget", () => {
  const el = (): HTMLElement => document.body.appendChild(document.createElement("div"));
  const text = (at: HTMLElement): string => rootOf(at).querySelector(".tx")?.textContent ?? "";
  const whole = (): string => {
    const text = rootOf(saved(load("multi2_tok_server"))).querySelector(".tx")?.textContent ?? "";
    document.body.replaceChildren();
    return text;
  };

  it("draws what batches bring, in a second view too", async () => {
    const expected = whole();
    const fake = fakeModel("two");
    const end = widget.initialize({ model: fake.model });
    const [one, two] = [el(), el()];
    widget.render({ model: fake.model, el: one });
    const batches = torn(load("multi2_tok_server"), dice(3));
    for (const batch of batches.slice(0, 8)) fake.emit("msg:custom", batch);
    await frame();
    const endTwo = widget.render({ model: fake.model, el: two });
    for (const batch of batches.slice(8)) fake.emit("msg:custom", batch);
    await frame();
    expect([text(one), text(two)]).toEqual([expected, expected]);
    endTwo();
    expect(two.querySelector(".lnb-host")).toBeNull();
    end();
    expect(fake.listeners()).toBe(0);
  });

  it("renders without initialize, from the snapshot alone", async () => {
    const fake = fakeModel("alone", { ...load("multi2_tok_server"), seq: 9 });
    const at = el();
    widget.render({ model: fake.model, el: at });
    await frame();
    expect(text(at)).toBe(whole());
  });

  it("asks once after a gap, says so, and recovers", async () => {
    const fake = fakeModel("gap");
    widget.initialize({ model: fake.model });
    const at = el();
    widget.render({ model: fake.model, el: at });
    fake.sent.length = 0;
    const batches = torn(load("multi2_tok_server"), dice(4));
    for (const batch of batches) if (batch.seq !== 2) fake.emit("msg:custom", batch);
    await frame();
    expect(fake.sent).toEqual([{ type: "resync", have: 1 }]);
    expect(rootOf(at).textContent).toContain("Some updates were lost; asking the kernel again.");
    fake.snapshot = { ...load("multi2_tok_server"), seq: batches.length };
    fake.emit("change:snapshot");
    await frame();
    expect(text(at)).toContain("Done: weather, die and lookup complete.");
    expect(rootOf(at).querySelector<HTMLElement>(".say")?.hidden).toBe(true);
  });

  it("sends Stop once", async () => {
    const fake = fakeModel("stop", { seq: 1, now: 5, changes: load("hello_tok").changes.slice(0, 3) });
    widget.initialize({ model: fake.model });
    const at = el();
    const end = widget.render({ model: fake.model, el: at });
    const stop = [...rootOf(at).querySelectorAll<HTMLButtonElement>("button")].find(
      (its) => its.textContent === "Stop",
    );
    stop?.click();
    stop?.click();
    expect(fake.sent.filter((words) => (words as { type: string }).type === "stop")).toHaveLength(1);
    expect([stop?.textContent, stop?.disabled]).toEqual(["Stopping", true]);
    end();
  });
});

const EVIL = [
  "<img src=x onerror=alert(1)>",
  "</script><script>alert(1)</script>",
  "[x](javascript:alert(1)) ![y](http://evil.example/pixel.png) <iframe src=//evil.example>",
  '"><svg onload=alert(1)>',
];

/** what the kernel says itself, of a few words it knows */
const WORDS = ["op", "kind", "status", "delivery", "duration_source", "approval", "outcome"];

function poisoned(value: unknown, payload: string, key = ""): unknown {
  if (typeof value === "string") return WORDS.includes(key) ? value : payload;
  if (Array.isArray(value)) return value.map((its) => poisoned(its, payload, key));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, its]) => [name, poisoned(its, payload, name)]));
}

describe("hostile text", () => {
  it.each(EVIL)("stays text in every field: %s", async (payload) => {
    for (const name of ["toolerr_tok", "disc_tok", "multi2_tok_server", "asks_three", "denied_step", "stop_nothing"]) {
      const evil = poisoned(load(name), payload) as Snapshot;
      for (const change of evil.changes) {
        if (!change.op) change.marks = [1, change.text.length];
        if (change.op === "entry" && change.set.result)
          change.set.result = JSON.stringify({ [payload]: [payload, payload.repeat(9)] });
      }
      const root = rootOf(saved(evil));
      for (const row of root.querySelectorAll<HTMLElement>("button.r[aria-expanded=false]")) row.click();
      await frame();
      expect(root.querySelectorAll("img,script,iframe,object,embed,link,form,video,audio")).toHaveLength(0);
      for (const its of root.querySelectorAll("*")) {
        for (const { name: attribute } of its.attributes)
          expect(attribute).not.toMatch(/^(on|src$|srcset$|formaction$)/);
      }
      for (const link of root.querySelectorAll("a[href]"))
        expect(link.getAttribute("href")).toMatch(/^(https?|mailto):/);
    }
  });

  it("links go only where a reader expects", () => {
    for (const url of [
      "javascript:alert(1)",
      " JaVaScRiPt:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "file:///etc",
      "//evil",
      "x",
    ]) {
      expect(safeUrl(url), url).toBeNull();
    }
    expect(safeUrl("https://letta.com/a")).toBe("https://letta.com/a");
  });
});

describe("accessibility", () => {
  it.each(["multi2_tok_server", "toolerr_tok", "approve_parallel_step_1request", "longjson_step"])(
    "%s",
    async (name) => {
      saved(load(name));
      expect(await complaints()).toEqual([]);
    },
  );
});
