import { afterEach, describe, expect, it, vi } from "vitest";
import { time } from "../src/time";
import { complaints, load, names, press, rootOf, saved, seen, textOf } from "./util";

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

const frames = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((done) => requestAnimationFrame(done));
  await new Promise((done) => setTimeout(done));
};

/** A saved run, and a hand on its scrubber. */
class Shown {
  readonly root: ShadowRoot;
  readonly rail: HTMLElement;

  constructor(name: string) {
    this.root = rootOf(saved({ ...load(name), changes: fresh(name) }));
    this.rail = this.root.querySelector(".rail") as HTMLElement;
    this.rail.getBoundingClientRect = () => ({ left: 100, width: 1000, top: 0, height: 34 }) as DOMRect;
    this.rail.setPointerCapture = () => {};
  }

  text(selector: string): string {
    return seen(this.root, selector).map(textOf).join("|");
  }

  async drag(to: number, shiftKey = false): Promise<void> {
    const event = (type: string, at: number): void => {
      this.rail.dispatchEvent(new PointerEvent(type, { clientX: 100 + at * 1000, shiftKey, button: 0, bubbles: true }));
    };
    event("pointerdown", 1);
    event("pointermove", to);
    event("pointerup", to);
    await frames(2);
  }

  async key(key: string, on?: Element): Promise<void> {
    press(this.root, key, on);
    await frames(2);
  }

  /** Rows of the transcript that are seen. */
  get rows(): string[] {
    return seen(this.root, ".tx .r[data-key^=e]").map((row) => row.dataset.key ?? "");
  }
}

let runs = 0;
/** The same run under a name of its own: what a reader opened is kept by run. */
function fresh(name: string) {
  runs++;
  return load(name).changes.map((change, n) =>
    n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: `travel-${runs}` } } : change,
  );
}

describe("the scrubber", () => {
  it("shows the run as it stood: transcript, status, clock, tokens, legend and lanes", async () => {
    const shown = new Shown("multi2_tok_server");
    const whole = [shown.text(".tx"), shown.text(".toks"), shown.text(".clock")];
    await shown.drag(0.5, true);
    expect(shown.text(".status")).toBe("Earlier moment");
    expect(shown.text(".clock")).toBe(time(12_261 / 2));
    expect(shown.text(".of")).toBe("of 12.3 s");
    expect(shown.text(".toks")).toBe("tokens not reported yet");
    expect(shown.text(".tx .nm")).toBe("get_weather|roll_die");
    expect(shown.text(".tx")).toContain("running2.2 s");
    expect(shown.text(".tx")).toContain("2 steps come after this instant.");
    expect(shown.text(".sum .top")).toContain("5.7");
    expect(seen(shown.root, ".ln .lb").map((its) => its.textContent)).toEqual(["get_weather", "roll_die", "", ""]);
    expect(shown.root.querySelector(".lanes")?.classList.contains("cut")).toBe(true);
    expect(shown.rail.getAttribute("aria-valuetext")).toBe("6.13 s of 12.3 s, step 2, roll_die running");
    shown.root.querySelectorAll<HTMLElement>(".tail .lk")[0]?.click();
    await frames(2);
    expect([shown.text(".tx"), shown.text(".toks"), shown.text(".clock")]).toEqual(whole);
    expect(shown.text(".status")).toBe("Completed");
  });

  it("snaps to what came nearby, and with Shift to nothing", async () => {
    const shown = new Shown("multi2_tok_server");
    await shown.drag(0.3073);
    expect(shown.text(".clock")).toBe("3.76 s");
    const at = Number(shown.rail.getAttribute("aria-valuenow"));
    await shown.drag(0.3073, true);
    expect(Math.abs(Number(shown.rail.getAttribute("aria-valuenow")) - at)).toBeGreaterThan(1);
    await shown.drag(0.9999);
    expect(shown.text(".status")).toBe("Completed");
  });

  it("goes by keys: an event, a step, to the ends", async () => {
    const shown = new Shown("multi2_tok_server");
    await shown.key("{");
    expect(shown.rail.getAttribute("aria-valuetext")).toMatch(/^12\.1 s of/);
    await shown.key("[");
    const before = shown.rail.getAttribute("aria-valuenow");
    await shown.key("]");
    expect(Number(shown.rail.getAttribute("aria-valuenow"))).toBeGreaterThan(Number(before));
    await shown.key("Home");
    expect(shown.text(".clock")).toBe("0.0 ms");
    expect(shown.rows).toEqual(["e0"]);
    await shown.key("}");
    await shown.key("End");
    expect(shown.text(".status")).toBe("Completed");
    await shown.key("Home");
    await shown.key("Escape");
    expect(shown.text(".status")).toBe("Completed");
  });

  it.each(names)("%s: from any moment to any other draws what one would see there at once", async (name) => {
    const shown = new Shown(name);
    if (!shown.rail.hasAttribute("role")) return;
    const look = (): string[] => [shown.text(".r[data-key^=e]"), shown.text(".body"), shown.text(".status")];
    const drawn: string[][] = [];
    for (const at of [0.2, 0.7, 0.95]) {
      const other = new Shown(name);
      await other.drag(at, true);
      drawn.push([other.text(".r[data-key^=e]"), other.text(".body"), other.text(".status")]);
    }
    for (const n of [1, 0, 2, 0, 1, 2]) {
      await shown.drag([0.2, 0.7, 0.95][n] as number, true);
      expect(look()).toEqual(drawn[n]);
    }
  });

  /** What was asked of the rest of the code has been done. */
  const settled = (): Promise<void> => new Promise((done) => setTimeout(done));

  it("plays at the chosen speed, and a long wait in two seconds", async () => {
    let now = 1000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const waiting = new Map<number, FrameRequestCallback>();
    let frame = 0;
    vi.spyOn(globalThis, "requestAnimationFrame").mockImplementation((call) => {
      waiting.set(++frame, call);
      return frame;
    });
    vi.spyOn(globalThis, "cancelAnimationFrame").mockImplementation((id) => void waiting.delete(id));
    const shown = new Shown("multi2_tok_server");
    const pass = (ms: number): void => {
      now += ms;
      for (const [id, call] of [...waiting]) if (waiting.delete(id)) call(now);
    };
    const at = (): number => Number(shown.rail.getAttribute("aria-valuenow"));
    press(shown.root, " ");
    await settled();
    pass(0);
    pass(100);
    pass(0);
    expect(at()).toBe(100);
    shown.root.querySelector<HTMLElement>(".speed")?.click();
    expect(shown.text(".speed")).toBe("4×");
    pass(50);
    pass(0);
    expect(at()).toBe(300);
    // in the first tool: 3.4 s at 1x
    shown.root.querySelector<HTMLElement>(".speed")?.click();
    shown.root.querySelector<HTMLElement>(".speed")?.click();
    expect(shown.text(".speed")).toBe("1×");
    pass(100);
    pass(100);
    pass(0);
    expect(at()).toBeGreaterThan(520);
    expect(shown.text(".zoom")).toMatch(/^A wait of 3\.\d+ s, shown in 2 s$/);
    press(shown.root, " ");
    await settled();
    const stopped = at();
    pass(500);
    pass(0);
    expect(at()).toBe(stopped);
  });

  it("has no knob where nothing was timed", () => {
    const changes = fresh("hello_tok").map((change) =>
      change.op === "run" ? { ...change, at: null, set: { ...change.set, timed: false, ended: null } } : change,
    );
    const root = rootOf(saved({ seq: 0, now: null, changes }));
    expect(seen(root, ".knob,.tb .ico")).toEqual([]);
  });

  it("is found by a screen reader, at an earlier moment too", async () => {
    const shown = new Shown("toolerr_tok");
    await shown.drag(0.5);
    expect(await complaints()).toEqual([]);
  });
});

describe("zoom", () => {
  it("shows the time of a step, and all of it again", async () => {
    const shown = new Shown("multi2_tok_server");
    shown.root.querySelectorAll<HTMLElement>(".ln")[2]?.focus();
    await shown.key("z");
    expect(shown.text(".zoom")).toMatch(/^7\.1\d\d s to 12\.0\d\d s {2}Whole run$/);
    expect(shown.text(".rail .ax").split("|").length).toBeGreaterThan(3);
    expect(shown.root.querySelectorAll(".ln.out")).toHaveLength(3);
    await shown.key("z");
    expect(shown.text(".zoom")).toBe("");
  });
});
