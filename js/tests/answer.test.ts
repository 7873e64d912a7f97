import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change, EntryFacts, RunHead, Say, Snapshot, ToKernel } from "../src/page.gen";
import { Store } from "../src/store";
import { clockOf } from "../src/view/clock";
import widget from "../src/widget";
import { complaints, fakeModel, frame, load, rootOf, saved } from "./util";

let skipped = 0;
/** the page's clock, which a test may put forward */
const real = performance.now.bind(performance);
let shows = 0;

beforeEach(() => {
  skipped = 0;
  performance.now = () => real() + skipped;
  document.body.replaceChildren();
});
afterEach(() => {
  performance.now = real;
  document.body.replaceChildren();
});

const ended: RunHead = { status: "requires_approval", ended: 700, error: null };
const entry = (index: number, set: EntryFacts, at = 0): Change => ({ op: "entry", at, entry: index, set });
const head = (set: RunHead, at = 0): Change => ({ op: "run", at, set });

/** A live view of a run, and the kernel that it talks to. */
class Shown {
  readonly el = document.body.appendChild(document.createElement("div"));
  private readonly fake;
  private seq = 1;

  constructor(snapshot: Snapshot) {
    this.fake = fakeModel(`shown-${++shows}`, { ...snapshot, seq: 1 });
    widget.initialize({ model: this.fake.model });
    widget.render({ model: this.fake.model, el: this.el });
    this.fake.sent.length = 0;
  }

  get root(): ShadowRoot {
    return rootOf(this.el);
  }

  get sent(): ToKernel[] {
    // the code that comes later is asked for by who has the focus
    return (this.fake.sent as ToKernel[]).filter(({ type }) => type !== "ask");
  }

  async tell(...changes: Change[]): Promise<void> {
    this.fake.emit("msg:custom", { seq: ++this.seq, now: null, changes });
    await frame();
    await frame();
  }

  async later(ms: number): Promise<void> {
    skipped += ms;
    await this.tell();
  }

  all(selector: string): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>(selector)].filter((its) => !its.closest("[hidden]"));
  }

  text(selector: string): string {
    return this.all(selector)
      .map((its) => its.textContent)
      .filter(Boolean)
      .join("|");
  }

  buttons(): string[] {
    return this.all(".answers button").map((its) => its.textContent ?? "");
  }

  press(name: string, n = 0): HTMLButtonElement {
    const button = this.all("button").filter((its) => its.textContent === name)[n] as HTMLButtonElement;
    button.focus();
    button.click();
    return button;
  }
}

const three = (): Shown => new Shown(load("asks_three"));
const one = (): Shown => new Shown(load("approve_tok_1request"));
const CALLS = ["call_1", "call_2", "call_3"];

describe("an approval", () => {
  it("is asked with the arguments, both answers alike, and nothing has the focus", () => {
    const shown = one();
    expect(shown.buttons()).toEqual(["Approve", "Deny"]);
    expect(shown.text(".kv")).toContain('{target: "/tmp/x"}'.replace("target", '"target"'));
    expect(new Set(shown.all(".answers button").map((its) => its.className)).size).toBe(1);
    expect(shown.root.activeElement).toBeNull();
    expect(shown.all(".why")[0]?.getAttribute("placeholder")).toBe("Reason, sent to the agent (optional)");
    expect(shown.text(".hd > .btn")).toBe("");
  });

  it("is sent with its reason, once, and said to be on its way", () => {
    const shown = one();
    const why = shown.all(".why")[0] as HTMLInputElement;
    why.value = "  too risky ";
    why.dispatchEvent(new Event("input", { bubbles: true }));
    const button = shown.press("Deny");
    button.click();
    const call_id = load("approve_tok_1request").changes.flatMap((its) => (its.op === "open" && its.call_id) || [])[0];
    expect(shown.sent).toEqual([{ type: "answer", answers: [{ call_id, approve: false, reason: "too risky" }] }]);
    expect(shown.buttons()).toEqual(["Approve", "Denying"]);
    expect(shown.all(".answers button, .why").every((its) => (its as HTMLButtonElement).disabled)).toBe(true);
    // the keyboard is not lost with the button
    expect((shown.root.activeElement as HTMLElement).dataset.key).toMatch(/^e/);
  });

  it("that the kernel does not hear is said after three seconds, and can be given again", async () => {
    const shown = one();
    shown.press("Approve");
    await shown.later(2900);
    expect(shown.text(".say")).toBe("");
    await shown.later(200);
    expect(shown.text(".say")).toBe("The kernel is busy and has not heard the answer.");
    expect(shown.buttons()).toEqual(["Approve", "Deny"]);
    shown.press("Deny");
    expect(shown.sent).toHaveLength(2);
    expect(shown.buttons()).toEqual(["Approve", "Denying"]);
    await shown.tell(head({ status: "running", ended: null }), entry(2, { approval: "denied", answered: 5000 }));
    expect(shown.text(".say")).toBe("");
  });

  it("that could not be sent is asked for again", async () => {
    const shown = one();
    shown.press("Approve");
    await shown.tell(entry(2, { approval: "approved", answered: 5000, reason: null, started: null }));
    expect(shown.buttons()).toEqual([]);
    await shown.tell(entry(2, { approval: "pending" }));
    expect(shown.buttons()).toEqual(["Approve", "Deny"]);
  });

  it("is not given by Enter or by typing, and Escape leaves the field", async () => {
    const shown = one();
    const why = shown.all(".why")[0] as HTMLInputElement;
    let heard = 0;
    shown.el.addEventListener("keydown", () => heard++);
    for (const key of ["Enter", "e", "x", "d", " "]) {
      why.focus();
      const event = new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true });
      why.dispatchEvent(event);
      expect([key, event.defaultPrevented]).toEqual([key, key === "Enter"]);
    }
    expect([shown.sent, heard]).toEqual([[], 0]);
    why.value = "because";
    why.dispatchEvent(new Event("input"));
    await shown.tell(head({ events: 99 }));
    expect(shown.root.activeElement).toBe(why);
    expect(why.value).toBe("because");
    why.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect((shown.root.activeElement as HTMLElement).dataset.key).toBe("e2");
  });

  it("of several calls is given one by one, or to all that are left", async () => {
    const shown = three();
    const pairs = ["Approve", "Deny", "Approve", "Deny", "Approve", "Deny"];
    expect(shown.buttons()).toEqual([...pairs, "Approve all 3", "Deny all"]);
    expect(shown.text(".row .c")).toContain("returns after you answer");
    shown.press("Approve", 1);
    expect(shown.buttons().slice(-2)).toEqual(["Approve all 2", "Deny all"]);
    await shown.tell(entry(4, { approval: "approved", answered: 20_000, reason: null }));
    expect(shown.text(".x")).toContain("approved; goes on when the other 2 calls are answered");
    expect(shown.text(".status")).toBe("Waiting for approval");
    shown.press("Deny all");
    expect(shown.sent).toEqual([
      { type: "answer", answers: [{ call_id: CALLS[1], approve: true, reason: null }] },
      {
        type: "answer",
        answers: [CALLS[0], CALLS[2]].map((call_id) => ({ call_id, approve: false, reason: null })),
      },
    ]);
  });

  it("of a function of this kernel says so, and then where it runs", async () => {
    const shown = one();
    await shown.tell(entry(2, { here: true }));
    expect(shown.text(".row .c")).toContain("wants to run in this kernel");
    await shown.tell(entry(2, { here: true, approval: "approved", answered: 3000, reason: null, started: 3010 }));
    expect(shown.text(".x")).toBe("approved after 0:03  running in this kernel");
    expect(shown.text(".status")).toBe("Running");
    expect(shown.text(".hd > .btn")).toBe("");
  });

  it("in a saved page is answered from Python", () => {
    const output = saved(load("asks_three"));
    const text = [...rootOf(output).querySelectorAll<HTMLElement>(".answers")]
      .filter((its) => !its.hidden)
      .map((its) => its.querySelector(".d")?.textContent);
    expect(text).toEqual(['This run is saved. Answer it from Python.run.approve()run.deny("why")']);
    const offered = [...rootOf(output).querySelectorAll(".answers button")].filter((its) => !its.closest("[hidden]"));
    expect(offered).toEqual([]);
  });

  it.each(["asks_three", "half_answered"])("%s is accessible", async (name) => {
    new Shown(load(name));
    expect(await complaints()).toEqual([]);
  });
});

describe("a run that ends and goes on", () => {
  const fixture = load("answered_tok");
  const goesOn = fixture.changes.findIndex((its) => its.op === "entry" && its.set.approval === "approved");

  it("is one transcript, and shows each state", async () => {
    const shown = new Shown({ seq: 1, now: 303, changes: fixture.changes.slice(0, goesOn) });
    const seen = [shown.text(".status")];
    expect(shown.text(".hd > .btn")).toBe("");
    const { changes } = fixture;
    const first = changes[goesOn] as Change;
    await shown.tell(first, ...changes.slice(goesOn + 1, goesOn + 2));
    seen.push(shown.text(".status"), shown.text(".hd > .btn"));
    await shown.tell(...changes.slice(goesOn + 2));
    seen.push(shown.text(".status"), shown.text(".clock"));
    expect(seen).toEqual(["Waiting for approval", "Running", "Stop", "Completed", "46.6 s"]);
    expect(shown.text(".tx")).toContain("Approval flow finished.");
    expect(shown.text(".x")).toContain("approved after 0:42");
    expect(shown.all(".tx > .step").length).toBe(3);
  });

  it("may ask again, and Stop is new each time", async () => {
    const shown = one();
    for (const [at, index] of [
      [5000, 3],
      [9000, 5],
    ] as const) {
      await shown.tell(head({ status: "running", ended: null, stop_reason: null, cancel: null }, at));
      expect(shown.text(".hd > .btn")).toBe("Stop");
      shown.press("Stop");
      await shown.tell(
        entry(index === 3 ? 2 : 4, { approval: "approved", answered: at, reason: null, started: at }),
        { op: "step", at: at + 100, step: (index - 1) / 2 },
        { op: "open", at: at + 100, entry: index, kind: "reasoning", step: (index - 1) / 2 },
        {
          op: "open",
          at: at + 200,
          entry: index + 1,
          kind: "tool_call",
          step: (index - 1) / 2,
          name: "again",
          call_id: `c${at}`,
          approval: "pending",
        },
        { entry: index + 1, text: "{}", marks: [at + 200, 2] },
        head({ ...ended, ended: at + 300 }),
      );
      expect(shown.text(".status")).toBe("Waiting for approval");
      expect(shown.buttons()).toEqual(["Approve", "Deny"]);
    }
    expect(shown.sent.filter((its) => its.type === "stop")).toHaveLength(2);
  });

  it("counts while it waits, and no further when it is over", () => {
    const store = new Store();
    store.adopt({ ...load("asks_three"), now: 42_000 });
    const clock = clockOf(store);
    const before = clock.now(true);
    skipped += 5000;
    expect(clock.now(true) - before).toBeGreaterThan(4900);
    expect(clock.now(false)).toBe(700);
    const answered = [3, 4, 5].map((n) => entry(n, { approval: "approved", answered: 47_000, reason: null }));
    store.receive({ seq: 1, changes: [...answered, head({ status: "running", ended: null })] });
    expect(clock.now(true)).toBeGreaterThan(47_000);
    store.receive({ seq: 2, changes: [head({ status: "completed", ended: 49_000 })] });
    skipped += 5000;
    expect(clock.now(true)).toBe(49_000);
  });

  it("shows what it is told between the answer and its being sent as going on", () => {
    const store = new Store();
    store.adopt(load("asks_three"));
    const seen = [[store.status, store.paused]];
    const decided = ["approved", "approved", "denied"] as const;
    decided.forEach((approval, n) => {
      store.receive({ seq: n + 1, changes: [entry(3 + n, { approval, answered: 9, reason: null })] });
      seen.push([store.status, store.paused]);
    });
    expect(seen).toEqual([
      ["requires_approval", true],
      ["requires_approval", true],
      ["requires_approval", true],
      ["running", true],
    ]);
  });

  it("is told to a screen reader: what is asked, and that the connection was lost", async () => {
    const shown = new Shown({ seq: 1, now: 0, changes: load("asks_three").changes.slice(0, 3) });
    const live = () => shown.root.querySelector(".vh[aria-live]") as HTMLElement;
    await shown.tell(...load("asks_three").changes.slice(3));
    expect(live().textContent).toBe("Waiting for your approval of delete_folder, delete_folder, delete_folder");
    expect(live().getAttribute("aria-live")).toBe("assertive");
    skipped += 6000;
    await shown.tell(
      head({ status: "running", ended: null }),
      head({ connection: { lost: 900, back: null, times: 1 } }),
    );
    skipped += 6000;
    await shown.tell();
    expect(live().textContent).toBe("Connection lost, trying again");
    await shown.tell(head({ connection: { lost: 900, back: 1310, times: 1 } }));
    skipped += 6000;
    await shown.tell(head({ events: 8 }));
    expect(live().textContent).toBe("Connected again");
    expect(live().getAttribute("aria-live")).toBe("polite");
  });
});

describe("the line under the header", () => {
  const said = (sentence: string): Say => ({ sentence, more: "", words: "", way: "", dim: false });
  const running = (): Shown => new Shown({ seq: 1, now: 500, changes: load("multi_tok").changes.slice(0, 6) });
  const cancel = (outcome: NonNullable<RunHead["cancel"]>["outcome"], words: string | null = null): Change =>
    head({ cancel: { asked: 500, outcome, words } });

  it("tells whether the kernel or the server has not answered Stop", async () => {
    const shown = running();
    shown.press("Stop");
    await shown.later(3100);
    expect(shown.text(".say")).toBe("The kernel is busy and has not seen Stop. Use the kernel's interrupt button.");
    await shown.tell(cancel("asked"));
    expect(shown.text(".say")).toBe("Asked the server to stop; it has not answered yet.");
    expect(shown.text(".hd > .btn")).toBe("Stopping");
    await shown.tell(cancel("cancelled"));
    expect(shown.text(".say")).toBe("");
    await shown.tell(head({ status: "cancelled", ended: 3070, say: said("You stopped the run after 3.07 s.") }));
    expect(shown.text(".say")).toBe("You stopped the run after 3.07 s.");
  });

  it("says what the kernel says, and what one would type", async () => {
    const shown = running();
    const way = '`letta_nb.attach("run-1")` looks again.';
    await shown.tell(
      head({ say: { ...said("The connection closed."), more: "It may go on.", way, words: "EOF <b>" } }),
    );
    expect(shown.text(".say")).toBe(
      'The connection closed. It may go on. letta_nb.attach("run-1") looks again.EOF <b>',
    );
    expect(shown.text(".say code")).toBe('letta_nb.attach("run-1")');
    expect(shown.root.querySelector(".say b")).toBeNull();
    await shown.tell(head({ say: { ...said("The messages were fetched instead."), dim: true } }));
    expect(shown.text(".say > div > .d")).toContain("The messages were fetched instead.");
    await shown.tell(head({ say: null }));
    expect(shown.text(".say")).toBe("");
  });

  it("says what the kernel says of a message that was not taken, and offers the answer", async () => {
    const shown = one();
    const error = { type: "pending_approval", message: "The agent still waits for an answer.", detail: null };
    await shown.tell(head({ status: "failed", ended: 400, error, say: said(error.message) }));
    expect(shown.text(".say")).toBe("The agent still waits for an answer.");
    expect(shown.buttons()).toEqual(["Approve", "Deny"]);
  });
});

describe("a call", () => {
  it("that was denied did not fail", () => {
    const output = saved(load("denied_step"));
    const root = rootOf(output);
    expect(root.querySelector<HTMLElement>(".alert")?.hidden).toBe(true);
    expect(root.querySelector(".x.keep")?.textContent).toBe("denied: too risky");
    expect(root.querySelector(".lanes .err")).toBeNull();
  });

  it("whose return was fetched says so", async () => {
    const shown = new Shown({ seq: 1, now: 500, changes: load("multi_tok").changes.slice(0, 6) });
    const index = load("multi_tok").changes.flatMap((its) =>
      its.op === "open" && its.kind === "tool_call" ? its.entry : [],
    )[0]!;
    const call: Change = { op: "open", at: 300, entry: index, kind: "tool_call", step: 0, name: "f", call_id: "c" };
    await shown.tell(call, entry(index, { returned: null, result: "7", status: "success", return_source: "server" }));
    expect(shown.text(".x")).toContain("fetched after the run");
  });

  it("whose arguments stall is arriving, in its row and in its lane", () => {
    const shown = new Shown(load("arriving"));
    expect(shown.all(".x").at(-1)?.textContent).toBe("arriving");
    const lane = shown.all(".lanes .ln").at(-1)?.textContent;
    expect(lane).toContain("tool arguments");
    expect(lane).not.toContain("tool running");
    // those before it in the reply wait for its end
    const held = new Shown(load("held"));
    expect(held.text(".x")).not.toContain("running");
  });
});
