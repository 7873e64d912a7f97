import { afterEach, describe, expect, it } from "vitest";
import { lettered } from "../src/json";
import type { Change } from "../src/page.gen";
import { Store } from "../src/store";
import { matches, occurrences, plain } from "../src/view/matches";
import { unsought } from "../src/view/ui";
import { complaints, frame, live, load, names, press, rootOf, saved, searching, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

let runs = 0;

class Shown {
  readonly root: ShadowRoot;

  /** With the search bar open, which comes when it is first asked for. */
  static async of(name: string): Promise<Shown> {
    const shown = new Shown(name);
    await searching(shown.root);
    return shown;
  }

  private constructor(name: string) {
    runs++;
    const changes = load(name).changes.map((change, n) =>
      n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: `find-${runs}` } } : change,
    );
    this.root = rootOf(saved({ ...load(name), changes }));
  }

  get input(): HTMLInputElement {
    return this.root.querySelector(".find input") as HTMLInputElement;
  }

  text(selector: string): string {
    return seen(this.root, selector).map(textOf).join("|");
  }

  type(words: string): void {
    this.input.value = words;
    this.input.dispatchEvent(new Event("input"));
  }

  chip(word: string): HTMLElement {
    return seen(this.root, ".chip").find((chip) => textOf(chip).startsWith(word)) as HTMLElement;
  }

  /** The names of the tools whose rows are seen. */
  get tools(): string {
    return this.text(".tx .nm");
  }

  get focused(): HTMLElement | null {
    return this.root.activeElement as HTMLElement | null;
  }
}

describe("the legend's keys", () => {
  const key = (shown: Shown, word: string): HTMLElement =>
    seen(shown.root, ".sum>*").find((its) => textOf(its).startsWith(word)) as HTMLElement;

  it("leave out what they stand for, and open the bar that says so", async () => {
    const shown = await Shown.of("multi2_tok_server");
    press(shown.root, "Escape", shown.input);
    const before = shown.tools;
    key(shown, "Tools").click();
    expect(shown.tools).toBe("");
    expect(key(shown, "Tools").getAttribute("aria-pressed")).toBe("false");
    expect(shown.chip("Tools").getAttribute("aria-pressed")).toBe("false");
    key(shown, "Tools").click();
    expect(shown.tools).toBe(before);
    expect(key(shown, "Tools").getAttribute("aria-pressed")).toBe("true");
  });

  it("show the failures alone", async () => {
    const shown = await Shown.of("toolerr_tok");
    const failed = key(shown, "Failed tool");
    expect(failed.getAttribute("aria-pressed")).toBe("false");
    failed.click();
    expect(shown.chip("Errors").getAttribute("aria-pressed")).toBe("true");
    expect(shown.tools).not.toBe("");
  });

  it("are no buttons where there is nothing to leave out", async () => {
    const shown = await Shown.of("multi2_tok_server");
    expect(key(shown, "Waiting").tagName).toBe("SPAN");
    expect(key(shown, "Reasoning").tagName).toBe("BUTTON");
  });

  it("stay themselves while their figures change", async () => {
    const shown = await Shown.of("multi2_tok_server");
    const tools = key(shown, "Tools");
    const said = textOf(tools);
    press(shown.root, "Escape", shown.input);
    for (let n = 0; n < 3; n++) press(shown.root, "{");
    await frame();
    expect(key(shown, "Tools")).toBe(tools);
    expect(textOf(tools)).not.toBe(said);
  });
});

describe("search", () => {
  it("is the same in another view of the run", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.type("die");
    shown.input.blur();
    const other = saved({
      ...load("multi2_tok_server"),
      changes: load("multi2_tok_server").changes.map((change, n) =>
        n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: `find-${runs}` } } : change,
      ),
    });
    await expect.poll(() => rootOf(other).querySelector<HTMLInputElement>(".find input")?.value).toBe("die");
  });

  it("counts what it finds, and goes from one to the next and round", async () => {
    const shown = await Shown.of("multi2_tok_server");
    expect(shown.focused).toBe(shown.input);
    shown.type("DIE");
    expect(shown.text(".nn")).toBe("1 of 4");
    for (const at of [2, 3, 4, 1]) {
      press(shown.root, "Enter", shown.input);
      expect(shown.text(".nn")).toBe(`${at} of 4`);
      expect(shown.focused).toBe(shown.input);
    }
    seen(shown.root, ".find .ico")[0]?.click();
    expect(shown.text(".nn")).toBe("4 of 4");
  });

  it("opens the row that holds the match", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.type("looking up");
    expect(shown.text(".kv")).toBe("");
    press(shown.root, "Enter", shown.input);
    expect(shown.text(".kv")).toContain("looking up Paris");
  });

  it("says that there is no match, and closes with Escape", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.type("<b>nowhere</b>");
    expect(shown.text(".none")).toBe("No match for “<b>nowhere</b>”. ");
    press(shown.root, "Escape", shown.input);
    expect([shown.text(".find"), shown.text(".none"), shown.input.value]).toEqual(["", "", ""]);
    expect(shown.focused?.className).toContain("box");
  });

  it("types no shortcut", async () => {
    const shown = await Shown.of("multi2_tok_server");
    for (const key of ["j", "E", "x", " ", "Home", "?"]) press(shown.root, key, shown.input);
    expect(shown.focused).toBe(shown.input);
    expect(shown.text(".status")).toBe("Completed");
  });

  it("counts on while the run goes on", async () => {
    const { store, root, end } = live();
    let seq = 0;
    const emit = (changes: Change[]): void => void store.receive({ seq: ++seq, changes });
    emit([{ op: "run", at: 0, set: { status: "running", timed: true } }]);
    emit([{ op: "open", at: 1, entry: 0, kind: "reasoning", step: 0 }]);
    await frame();
    const input = await searching(root);
    input.value = "road";
    input.dispatchEvent(new Event("input"));
    for (const text of ["a road", " and a ro", "ad"]) emit([{ entry: 0, text, at: seq }]);
    await frame();
    expect(seen(root, ".nn").map(textOf)).toEqual(["1 of 2"]);
    end();
  });

  it.each(names)("%s: counts each place once", (name) => {
    const store = new Store();
    store.adopt(load(name));
    const sought = { ...unsought(), open: true, query: "e" };
    const all = store.entries.flatMap(({ kind, text, facts }) =>
      kind === "tool_call"
        ? [
            facts.name,
            lettered(text),
            facts.reason,
            lettered(facts.result ?? ""),
            ...(facts.stdout ?? []),
            ...(facts.stderr ?? []),
          ]
        : [text],
    );
    const expected = all.join("\n").toLowerCase().split("e").length - 1;
    expect(matches(store, sought).reduce((sum, { count }) => sum + count, 0)).toBe(expected);
  });

  it("keeps the places of letters whose lower case is longer", () => {
    const text = "İstanbul ROAD";
    expect(occurrences(plain(text), "road")).toEqual([text.indexOf("ROAD")]);
  });
});

describe("filters", () => {
  it("leave out a kind, and say what they hide", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.chip("Tools").click();
    expect(shown.tools).toBe("");
    expect(shown.text(".tx")).toContain("Step two: roll a die.");
    shown.chip("Reasoning").click();
    expect(shown.text(".none")).toBe("2 steps hidden by filters. Show all");
    expect(shown.text(".tx")).toContain("Done: weather");
    seen(shown.root, ".none .lk")[0]?.click();
    expect(shown.tools).toBe("get_weather|roll_die|slow_lookup");
  });

  it("keep one tool", async () => {
    const shown = await Shown.of("multi2_tok_server");
    const select = seen<HTMLSelectElement>(shown.root, ".find select")[0] as HTMLSelectElement;
    expect([...select.options].map((its) => its.text)).toEqual(["All tools", "get_weather", "roll_die", "slow_lookup"]);
    select.value = "roll_die";
    select.dispatchEvent(new Event("change"));
    expect(shown.tools).toBe("roll_die");
    expect(shown.text(".none")).toBe("3 steps hidden by filters. Show all");
  });

  it("keep what failed, and what was slow", async () => {
    const shown = await Shown.of("toolerr_tok");
    expect(shown.text(".chip")).toContain("Errors1");
    shown.chip("Errors").click();
    expect(shown.tools).toBe("always_fails");
    expect(shown.text(".tx")).not.toContain("You");
    shown.chip("Errors").click();
    shown.chip("Over 1 s").click();
    expect(shown.tools).toBe("always_fails");
    press(shown.root, "Escape");
    expect(shown.text(".tx")).toContain("You");
  });

  it("hold for what is searched", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.type("die");
    shown.chip("Tools").click();
    expect(shown.text(".nn")).toBe("1 of 3");
  });

  it("are found by a screen reader", async () => {
    const shown = await Shown.of("toolerr_tok");
    shown.type("error");
    expect(await complaints()).toEqual([]);
    expect(shown.chip("Tools").getAttribute("aria-pressed")).toBe("true");
  });
});

describe("tabs and menu", () => {
  it("lead from the raw events to their filter, and leave the search of the transcript alone", async () => {
    const shown = await Shown.of("multi2_tok_server");
    shown.type("die");
    const tab = (word: string): void =>
      seen(shown.root, "[role=tab]")
        .find((its) => textOf(its).startsWith(word))
        ?.click();
    tab("Raw");
    await expect.poll(() => shown.root.querySelector("[aria-label='Filter events']")).not.toBeNull();
    shown.root.querySelector<HTMLElement>("[aria-label=Search]")?.click();
    expect(shown.focused?.getAttribute("aria-label")).toBe("Filter events");
    tab("Transcript");
    expect(shown.text(".nn")).toBe("1 of 4");
  });

  it("choose a pane by click, arrow and number", async () => {
    const shown = await Shown.of("multi2_tok_server");
    press(shown.root, "Escape");
    const chosen = (): string => shown.text("[role=tab][aria-selected=true]");
    expect(shown.text("[role=tab]")).toBe("Transcript|Raw 64|Context");
    press(shown.root, "2");
    expect(chosen()).toBe("Raw 64");
    expect(seen(shown.root, "[role=tabpanel]").map((its) => its.getAttribute("aria-labelledby"))).toEqual([
      shown.root.querySelector("[aria-selected=true]")?.id,
    ]);
    press(shown.root, "ArrowRight", shown.root.querySelector("[aria-selected=true]"));
    expect(chosen()).toBe("Context");
    press(shown.root, "3");
    expect(chosen()).toBe("Context");
    press(shown.root, "1");
    expect(chosen()).toBe("Transcript");
  });

  it("offer what can be taken out of the run", async () => {
    const shown = await Shown.of("multi2_tok_server");
    press(shown.root, "Escape");
    const more = shown.root.querySelector<HTMLElement>(".more .ico");
    more?.click();
    await expect.poll(() => shown.text(".menu button")).toContain("Copy transcript|Copy as Python|");
    expect(shown.focused?.textContent).toBe("Copy transcript");
    press(shown.root, "ArrowUp", shown.focused);
    expect(shown.focused?.textContent).toBe("Full height");
    press(shown.root, "Escape", shown.focused);
    expect([shown.text(".menu"), shown.focused]).toEqual(["", more]);
  });

  it("list the keys", async () => {
    const shown = await Shown.of("multi2_tok_server");
    press(shown.root, "Escape");
    press(shown.root, "?");
    await expect.poll(() => shown.text(".keys")).toContain("one event back, forward");
    press(shown.root, "Escape");
    expect(shown.text(".keys")).toBe("");
  });
});
