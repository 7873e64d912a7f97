import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mount } from "../src/frozen";
import { Markdown, safeUrl } from "../src/markdown";
import type { Change, Snapshot } from "../src/page.gen";
import widget from "../src/widget";
import { complaints, dice, fakeModel, frame, load, more, names, press, rootOf, saved, torn } from "./util";

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
    expect(rootOf(at).textContent).toContain("Updates lost, trying again.");
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
    expect([stop?.textContent, stop?.getAttribute("aria-disabled")]).toEqual(["Stopping", "true"]);
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

describe("what would reorder the text around it", () => {
  const signs = [..."\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"];
  /** `rm -rf` that reads as something else, in a call that waits for a person. */
  const asked = (sign: string, args: string): Snapshot => ({
    seq: 0,
    now: 50,
    changes: [
      { op: "run", at: 0, set: { uid: `signs-${sign}-${args}`, status: "requires_approval", timed: true, ended: 50 } },
      { op: "open", at: 1, entry: 0, kind: "tool_call", step: 0, name: null, call_id: "c", approval: "pending" },
      { op: "entry", at: 2, entry: 0, set: { name: `sh${sign}ell` } },
      { entry: 0, text: args, at: 3 },
    ],
  });

  it.each(signs)("is shown as a sign in the name and the arguments of a call: %j", (sign) => {
    for (const args of [`{"cmd${sign}": "rm ${sign}-rf"}`, `rm ${sign}-rf`, `[{"a": "${sign}"}, {"a": "b"}]`]) {
      const root = rootOf(saved(asked(sign, args)));
      const text = (): string => root.querySelector(".lnb")?.textContent ?? "";
      expect(text()).not.toContain(sign);
      expect(text()).toContain("sh\ufffdell");
      if (!args.startsWith("[")) expect(text()).toContain("rm \ufffd-rf");
      root.querySelector<HTMLElement>("button.r")?.click();
      expect(text()).not.toContain(sign);
      for (const its of root.querySelectorAll("*"))
        for (const { value } of its.attributes) expect(value).not.toContain(sign);
      document.body.replaceChildren();
    }
  });

  it("is shown in what an escape hides too", () => {
    const escaped = JSON.stringify({ k: "v" }).replace("k", "\\u202ek");
    const root = rootOf(saved(asked("\u202e", escaped)));
    root.querySelector<HTMLElement>("button.r")?.click();
    expect(root.querySelector(".m.args")?.textContent).toBe('\ufffdk "v"');
    expect(root.querySelector(".lnb")?.textContent).not.toContain("\u202e");
  });

  it("stays in what is read, where a language needs it", () => {
    const changes: Change[] = [
      { op: "run", at: 0, set: { uid: "signs-said", status: "completed" } },
      { op: "open", at: 1, entry: 0, kind: "assistant", step: 0 },
      { entry: 0, text: "\u05d0\u200e (a)", at: 2 },
    ];
    expect(rootOf(saved({ seq: 0, now: 2, changes })).querySelector(".md")?.textContent).toBe("\u05d0\u200e (a)");
  });
});

describe("a very long answer", () => {
  const giant = `${"A line with **bold** and `code` in it.\n\n".repeat(3000)}The end.\n`;
  const changes = (uid: string, status: "running" | "completed"): Change[] => [
    { op: "run", at: 0, set: { uid, status, timed: true, ended: status === "completed" ? 9 : null } },
    { op: "open", at: 1, entry: 0, kind: "assistant", step: 0 },
    { entry: 0, text: giant, at: 2 },
  ];
  const paragraphs = (root: ShadowRoot): number => root.querySelectorAll(".md p").length;

  it("is drawn in part, a frame's worth at a time, and whole when it is asked for", async () => {
    const root = rootOf(saved({ seq: 0, now: 9, changes: changes("giant", "completed") }));
    expect(paragraphs(root)).toBeGreaterThan(100);
    expect(paragraphs(root)).toBeLessThan(300);
    const button = root.querySelector(".answer .lk") as HTMLElement;
    await expect.poll(() => button.hidden).toBe(false);
    expect(paragraphs(root)).toBeGreaterThan(500);
    expect(paragraphs(root)).toBeLessThan(1000);
    expect(button.textContent).toBe("Show all, 120 kB");
    button.click();
    expect(button.hidden).toBe(true);
    await expect.poll(() => paragraphs(root), { timeout: 20_000 }).toBe(3001);
    expect(root.querySelector(".md")?.textContent?.trim().endsWith("The end.")).toBe(true);
  });

  it("is copied whole", async () => {
    const copied: string[] = [];
    const writeText = async (text: string): Promise<void> => void copied.push(text);
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
    const root = rootOf(saved({ seq: 0, now: 9, changes: changes("giant-copied", "completed") }));
    const row = root.querySelector<HTMLElement>(".r[data-key=e0]");
    row?.focus();
    press(root, "c", row);
    await expect.poll(() => copied).toHaveLength(1);
    expect(copied[0]).toContain("The end.");
    expect(copied[0]?.split("bold")).toHaveLength(3001);
  });

  it("is whole while it grows: the reader is at its end", async () => {
    const fake = fakeModel("giant-live", { seq: 1, now: 5, changes: changes("giant-live", "running") });
    const el = document.body.appendChild(document.createElement("div"));
    const end = widget.render({ model: fake.model, el });
    await expect.poll(() => paragraphs(rootOf(el)), { timeout: 20_000 }).toBe(3001);
    end();
  });

  it("keeps what was over at the moment to which the reader goes back", async () => {
    const paragraph = (n: number): string => `Paragraph ${n}.\n\n`;
    const text = Array.from({ length: 90 }, (_, n) => paragraph(n)).join("");
    const answer = new Markdown();
    answer.update(text, true);
    const kept = [...answer.element.children].slice(0, 50);
    answer.update(text.slice(0, text.indexOf(paragraph(50)) + 5), false);
    expect(answer.element.children).toHaveLength(51);
    expect(kept.every((its, n) => its === answer.element.children[n])).toBe(true);
  });

  it("has one node for each text, in however many pieces it came", () => {
    const answer = new Markdown();
    const text = "Some words in **bold words** and more of them.";
    for (let n = 0; n <= text.length; n++) answer.update(text.slice(0, n), n === text.length);
    const whole = new Markdown();
    whole.update(text, true);
    expect(answer.element.innerHTML).toBe(whole.element.innerHTML);
    expect([...(answer.element.firstChild?.childNodes ?? [])].map((its) => its.nodeName)).toEqual([
      "#text",
      "STRONG",
      "#text",
    ]);
  });
});

describe("step numbers", () => {
  it("that are wider than their column stand out to the left, away from what is said", () => {
    const changes: Change[] = [{ op: "run", at: 0, set: { uid: "thousand", status: "completed", timed: false } }];
    for (let n = 0; n < 1001; n++) {
      changes.push({ op: "open", at: null, entry: n, kind: "assistant", step: n }, { entry: n, text: "x" });
    }
    const root = rootOf(saved({ seq: 0, now: null, changes }));
    const shown = new Map(
      [...root.querySelectorAll<HTMLElement>(".tx .r .n")].map((its) => [its.textContent, its.style.marginLeft]),
    );
    expect([shown.get("2"), shown.get("999"), shown.get("1000"), shown.get("1001")]).toEqual([
      "",
      "-2.5px",
      "-9px",
      "-9px",
    ]);
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
