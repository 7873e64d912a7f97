import { readdirSync, readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { mount } from "../src/compare";
import type { Comparison, Pair } from "../src/page.gen";
import { complaints, rootOf } from "./util";

const names = readdirSync("comparisons").map((file) => file.replace(".json", ""));
const load = (name: string): Comparison => JSON.parse(readFileSync(`comparisons/${name}.json`, "utf8")) as Comparison;

beforeEach(() => document.body.replaceChildren());

function saved(data: Comparison): HTMLElement {
  const output = document.createElement("div");
  const bare = document.createElement("div");
  bare.className = "lnb-bare";
  output.append(bare);
  document.body.append(output);
  mount(output, data);
  return output;
}

const drawn = (name: string): ShadowRoot => rootOf(saved(load(name)));
const rows = (root: ShadowRoot): HTMLElement[] => [...root.querySelectorAll<HTMLElement>("button.cr")];
const words = (element: Element | null | undefined): string => element?.textContent ?? "";
const cells = (row: Element | undefined): string[] => [...(row?.children ?? [])].map(words);
const facts = (root: ShadowRoot): string[][] => [...root.querySelectorAll(".facts tr")].map(cells);
const swap = (root: ShadowRoot): void => root.querySelector<HTMLElement>(".hd .btn")?.click();
const press = (root: ShadowRoot, key: string): KeyboardEvent => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, composed: true });
  (root.activeElement ?? root.querySelector(".lnb"))?.dispatchEvent(event);
  return event;
};

describe("a comparison", () => {
  it.each(names)("%s is drawn, and the bare one steps back", (name) => {
    const output = saved(load(name));
    const root = rootOf(output);
    expect(output.querySelector<HTMLElement>(".lnb-bare")?.style.display).toBe("none");
    expect(facts(root)).toHaveLength(load(name).figures.length + 1);
    expect(rows(root).length).toBeGreaterThan(0);
  });

  it("that cannot be read leaves the bare one", () => {
    const output = saved({ pairs: [] } as unknown as Comparison);
    expect(words(output)).toContain("This output could not be drawn. The comparison below is complete.");
    expect(output.querySelector<HTMLElement>(".lnb-bare")?.style.display).toBe("");
  });

  it("run twice is one view", () => {
    const output = saved(load("same"));
    mount(output, load("same"));
    expect(output.querySelectorAll(".lnb-host")).toHaveLength(1);
  });

  it("says where the runs part, before that step and nowhere else", () => {
    const root = drawn("failed");
    const parts = [...root.querySelectorAll(".parts")];
    expect(parts.map((its) => words(its.querySelector("p")))).toEqual([
      "First divergence, step 2: A calls roll_die, B fails in the model call.",
    ]);
    expect(root.querySelectorAll(".cps>li")[1]).toBe(parts[0]);
    expect(root.querySelector<HTMLElement>(".alike")?.hidden).toBe(true);
  });

  it("says that nothing differs", () => {
    const root = drawn("same");
    expect(root.querySelector(".parts")).toBeNull();
    expect(words(root.querySelector(".alike:not([hidden])"))).toContain("No divergence");
    expect(cells(rows(root)[0]).slice(0, 2)).toEqual([
      "1get_weathersame call and result",
      "4.96 sStep one: look up the weather.",
    ]);
  });

  it("says what both say once", () => {
    const row = rows(drawn("same"))[3];
    expect(cells(row)).toEqual([
      "4answersame answer",
      "342 msDone: weather, die and lookup complete.",
      "187 ms",
      "−155 ms",
    ]);
  });

  it("shows the changed keys of each side only", () => {
    const row = rows(drawn("arguments"))[0];
    expect(cells(row)[1]).toContain('city "Paris"→city "Paris"');
    expect(cells(row)[2]).toContain('city "Berlin"→city "Berlin"');
    expect(words(row)).not.toContain("temp_c");
  });

  it("names a step that only one has, and what broke", () => {
    const [, second, third] = rows(drawn("failed"));
    expect(words(second?.querySelector(".e"))).toBe("llm_api_error");
    expect(cells(third).slice(2)).toEqual(["no such step", "only in A"]);
  });

  it("draws both on one scale of time", () => {
    const root = drawn("failed");
    const width = (row: number, side: number): number =>
      Number.parseFloat(
        rows(root)[row]?.querySelectorAll<HTMLElement>(".side")[side]?.querySelector<HTMLElement>(".sg")?.style.width ??
          "",
      );
    expect(width(2, 0)).toBeCloseTo(74, 1);
    expect(width(0, 0) / width(0, 1)).toBeCloseTo(4955 / 4550, 2);
  });

  it("draws no bar for a time that nobody measured", () => {
    const data = load("same");
    for (const snapshot of [data.a, data.b]) {
      for (const change of snapshot.changes) if (change.op === "run" && "timed" in change.set) change.set.timed = false;
    }
    const root = rootOf(saved(data));
    expect(root.querySelector(".bars")).toBeNull();
    expect(rows(root)).toHaveLength(4);
  });
});

describe("a reader", () => {
  it("opens a row and sees both sides whole", () => {
    const root = drawn("arguments");
    const [row] = rows(root);
    row?.click();
    const body = root.getElementById(row?.getAttribute("aria-controls") ?? "");
    expect([row?.getAttribute("aria-expanded"), body?.hidden]).toEqual(["true", false]);
    const lists = [...(body?.querySelectorAll("ol") ?? [])].map(words);
    expect(lists[0]).toContain('{"city": "Paris", "temp_c": 21}');
    expect(lists[1]).toContain('{"city": "Berlin", "temp_c": 21}');
    row?.click();
    expect([row?.getAttribute("aria-expanded"), body?.hidden]).toEqual(["false", true]);
  });

  it("sees the whole error of the run that broke", () => {
    const root = drawn("failed");
    rows(root)[1]?.click();
    expect(words(root.querySelector(".cb:not([hidden]) ol:last-child"))).toContain("'type': 'server_error'");
  });

  it("swaps A and B, and again", () => {
    const root = drawn("failed");
    rows(root)[0]?.click();
    swap(root);
    expect(
      facts(root)[0]
        ?.slice(1, 3)
        .map((its) => its.replace(/\d.*/, "")),
    ).toEqual(["AFailed", "BCompleted"]);
    const time = facts(root).find(([label]) => label === "Time");
    expect(time).toEqual(["Time", "6.10 s", "16.0 s", "+9.89 s"]);
    expect(words(root.querySelector(".parts p"))).toBe(
      "First divergence, step 2: A fails in the model call, B calls roll_die.",
    );
    expect(cells(rows(root)[2])[3]).toBe("only in B");
    expect(cells(rows(root)[0])[3]).toBe("+405 ms");
    // what was open stays open
    expect(rows(root)[0]?.getAttribute("aria-expanded")).toBe("true");
    rows(root)[0]?.click();
    swap(root);
    expect([...root.querySelectorAll("button.cr,.facts,.parts p")].map(words)).toEqual(
      [...drawn("failed").querySelectorAll("button.cr,.facts,.parts p")].map(words),
    );
  });

  it("finds both columns of time at one edge, however far the list scrolls", () => {
    expect(drawn("many").querySelectorAll(".facts.many,.cps.many")).toHaveLength(2);
    expect(drawn("failed").querySelector(".many")).toBeNull();
  });

  it("has the whole of a name that is cut, and is told which side is open", () => {
    const root = drawn("arguments");
    expect(root.querySelector(".cr .nm")?.getAttribute("title")).toBe("get_weather");
    rows(root)[0]?.click();
    expect(
      [...root.querySelectorAll(".cb:not([hidden]) [data-side]")].map((its) => its.getAttribute("data-side")),
    ).toEqual(["A", "B"]);
  });

  it("unfolds many equal steps", () => {
    const root = drawn("many");
    expect(rows(root).map((row) => cells(row).slice(0, 2))).toEqual([
      ["1 to 9", "9 same steps"],
      expect.arrayContaining(["10read_stationother arguments and result"]),
      ["11 to 16", "6 same steps"],
      expect.arrayContaining(["17answeranother answer"]),
    ]);
    rows(root)[0]?.click();
    expect(rows(root)).toHaveLength(12);
    expect(root.activeElement).toBe(rows(root)[0]);
  });

  it("draws so many rows at once, and the rest when asked", () => {
    const data = load("many");
    const [first] = data.pairs;
    data.divergence = null;
    data.pairs = Array.from({ length: 100 }, (_, n) => ({ ...(first as Pair), same: n % 2 === 0 }));
    const root = rootOf(saved(data));
    expect(rows(root)).toHaveLength(41);
    expect(words(rows(root)[40])).toContain("60 more steps");
    rows(root)[40]?.click();
    expect(rows(root)).toHaveLength(81);
    rows(root)[80]?.click();
    expect(rows(root)).toHaveLength(100);
    expect(words(root.querySelector(".cps"))).not.toContain("more steps");
  });

  it("goes by keys, which go no further", () => {
    const root = drawn("failed");
    const heard: string[] = [];
    const listen = (event: KeyboardEvent): number => heard.push(event.key);
    document.addEventListener("keydown", listen);
    press(root, "j");
    expect(root.activeElement).toBe(rows(root)[0]);
    press(root, "j");
    expect(root.activeElement).toBe(rows(root)[1]);
    press(root, "k");
    press(root, "k");
    expect(root.activeElement).toBe(rows(root)[0]);
    expect(press(root, "e").defaultPrevented).toBe(true);
    expect(rows(root)[0]?.getAttribute("aria-expanded")).toBe("true");
    // the browser's own press of a button
    expect(press(root, "Enter").defaultPrevented).toBe(false);
    expect(heard).toEqual([]);
    press(root, "q");
    expect(heard).toEqual(["q"]);
    document.removeEventListener("keydown", listen);
  });
});

/** `name` with other words in it. */
const told = (name: string, ...words: [string, string][]): Comparison => {
  const swap = (text: string): string => words.reduce((its, [from, to]) => its.replaceAll(from, to), text);
  return JSON.parse(JSON.stringify(load(name)), (_, its) => (typeof its === "string" ? swap(its) : its)) as Comparison;
};

describe("words that run from the right", () => {
  const ASKED = "מה מזג האוויר בירושלים?";
  const ESCAPED = "\\u05d9\\u05e8\\u05d5\\u05e9\\u05dc\\u05d9\\u05dd";

  it("turn neither the view nor what stands beside them", () => {
    const root = rootOf(saved(told("failed", ["SCN:multi please", ASKED], ["Step one: look up the weather.", ASKED])));
    expect(root.querySelector(".lnb")?.getAttribute("dir")).toBe("ltr");
    const own = (selector: string): (string | null | undefined)[] =>
      [...root.querySelectorAll(selector)].filter((its) => words(its) === ASKED).map((its) => its.getAttribute("dir"));
    expect(own("td,.cr span")).toEqual(["auto", "auto"]);
    expect(root.querySelectorAll(".cr,.bars,.t,.lb,.facts tr")).not.toHaveLength(0);
    expect(root.querySelector(":is(.cr,.bars,.t,.lb,.facts tr)[dir]")).toBeNull();
  });

  it("are isolated one by one in JSON, and are letters where JSON wrote escapes", () => {
    const changed: [string, string][] = [
      ['"Paris"', `"${ESCAPED}"`],
      ['"Berlin"', '"تل أبيب"'],
    ];
    const root = rootOf(saved(told("arguments", ...changed)));
    const [one, two] = [...rows(root)[0]!.querySelectorAll(".call")];
    expect(words(one)).toBe('city "ירושלים"→city "ירושלים"');
    expect([...two!.querySelectorAll("bdi")].map(words)).toEqual(["city", '"تل أبيب"', "city", '"تل أبيب"']);
  });
});

const PAYLOADS = ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "[x](javascript:alert(1))"];
const KEPT = ["op", "kind", "status", "delivery", "duration_source", "approval"];

function poisoned(value: unknown, payload: string, key = ""): unknown {
  if (typeof value === "string") return KEPT.includes(key) ? value : payload;
  if (Array.isArray(value)) return value.map((its) => poisoned(its, payload, key));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, its]) => [name, poisoned(its, payload, name)]));
}

describe("hostile text", () => {
  it.each(PAYLOADS)("stays text in every field: %s", (payload) => {
    for (const name of ["failed", "arguments", "tool_error"]) {
      const root = rootOf(saved(poisoned(load(name), payload) as Comparison));
      for (const row of rows(root)) row.click();
      expect(words(root.querySelector(".lnb"))).toContain(payload);
      expect(root.querySelectorAll("img,script,iframe,object,embed,link,form")).toHaveLength(0);
      expect(root.querySelectorAll("a[href]")).toHaveLength(0);
      for (const its of root.querySelectorAll("*")) {
        for (const { name: attribute } of its.attributes) expect(attribute).not.toMatch(/^(on|src$)/);
      }
    }
  });
});

describe("accessibility", () => {
  it.each(["failed", "arguments", "many", "parallel"])("%s", async (name) => {
    const output = saved(load(name));
    for (const row of rows(rootOf(output))) row.click();
    expect(await complaints()).toEqual([]);
  });
});
