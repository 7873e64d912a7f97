import { afterEach, describe, expect, it } from "vitest";
import type { RawSource } from "../src/outside";
import { received } from "../src/view/rawlines";
import { uiOf } from "../src/view/ui";
import { file, folded, linesOf, rowsOf } from "./runfiles";
import { complaints, frame, load, press, rootOf, saved, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

let runs = 0;

/** The recording as a run that nobody has looked at. */
function unseen(name: string): ReturnType<typeof load> {
  runs++;
  const changes = load(name).changes.map((change, n) =>
    n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: `raw-${runs}` } } : change,
  );
  return { ...load(name), changes };
}

async function shown(name: string, raw: string | null): Promise<ShadowRoot> {
  const root = rootOf(saved(unseen(name), raw === null ? null : async () => raw));
  press(root, "2");
  await expect.poll(() => seen(root, "[role=tabpanel]").map(textOf).join("")).toMatch(/request|too large|cannot/);
  return root;
}

const types = (root: ShadowRoot): string[] => seen(root, "button.rw>:nth-child(5)").map(textOf);

describe("the pane of raw events", () => {
  it("folds, filters by type and by words, and opens an event as received", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    expect(seen(root, ".chip").map(textOf).slice(0, 5)).toEqual([
      "All64",
      "reasoning23",
      "tool_call22",
      "assistant12",
      "other7",
    ]);
    expect(types(root).slice(0, 4)).toEqual(["request", "ping", "reasoning_message ×7", "tool_call_message ×6"]);
    seen(root, ".chip")[4]?.click();
    expect(new Set(types(root))).toEqual(
      new Set(["request", "ping", "tool_return_message", "stop_reason", "usage_statistics", "end of stream"]),
    );
    seen(root, ".chip")[0]?.click();
    const input = root.querySelector<HTMLInputElement>("[aria-label='Filter events']") as HTMLInputElement;
    input.value = "temp_c";
    input.dispatchEvent(new Event("input"));
    expect(types(root)).toEqual(["tool_return_message"]);
    input.value = "Look UP the";
    input.dispatchEvent(new Event("input"));
    expect(types(root)).toEqual(["reasoning_message ×7"]);
    input.value = "nowhere";
    input.dispatchEvent(new Event("input"));
    expect(seen(root, ".none").map(textOf)).toEqual(['No match for "nowhere".']);
    input.value = "temp_c";
    input.dispatchEvent(new Event("input"));
    seen(root, "button.rw")[0]?.click();
    expect(seen(root, ".rwx").map(textOf).join("")).toContain('"message_type": "tool_return_message"');
    expect(root.querySelector("button.rw")?.getAttribute("aria-expanded")).toBe("true");
    press(root, "Escape", input);
    expect(input.value).toBe("");
    expect(types(root).slice(0, 2)).toEqual(["request", "ping"]);
    expect(seen(root, ".rwx")).toHaveLength(1);
    root.querySelector<HTMLElement>(".find [type=checkbox]:not([hidden] *)")?.click();
  });

  it("empties the filter by Escape, then leaves it for the list, and leaves chords to the notebook", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    const input = root.querySelector<HTMLInputElement>("[aria-label='Filter events']") as HTMLInputElement;
    const heard: string[] = [];
    document.body.onkeydown = ({ key }) => void heard.push(key);
    input.focus();
    input.value = "temp_c";
    input.dispatchEvent(new Event("input"));
    press(root, "Escape", input);
    expect([input.value, root.activeElement]).toEqual(["", input]);
    press(root, "Escape", input);
    expect(root.activeElement).toBe(seen(root, "button.rw")[0]);
    expect(heard).toEqual([]);
    for (const chord of [{ ctrlKey: true }, { metaKey: true }]) {
      for (const key of ["s", "Escape"]) {
        const event = { key, bubbles: true, composed: true, cancelable: true, ...chord };
        expect(input.dispatchEvent(new KeyboardEvent("keydown", event))).toBe(true);
      }
    }
    expect(heard).toEqual(["s", "Escape", "s", "Escape"]);
    document.body.onkeydown = null;
  });

  it("leaves a filter that nothing fits by Escape too", async () => {
    const { element, give } = await live();
    give(...linesOf("multi2_tok_server"));
    const input = element.querySelector("[type=search]") as HTMLInputElement;
    input.value = "nowhere";
    input.dispatchEvent(new Event("input"));
    expect(seen(element, "button.rw")).toEqual([]);
    input.focus();
    for (const _ of "12") input.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(element.querySelector(".rawbox")?.contains(document.activeElement)).toBe(true);
  });

  it("tells how many deltas a row holds apart from their type, which may be cut, and lets text run its own way", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    const cells = [...(seen(root, "button.rw")[2]?.children ?? [])];
    expect([...(cells[4]?.children ?? [])].map(textOf)).toEqual(["reasoning_message", " ×7"]);
    expect(cells[5]?.localName).toBe("bdi");
  });

  it("goes from row to row by keys", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    seen(root, "button.rw")[0]?.focus();
    for (const [key, type] of [
      ["j", "ping"],
      ["ArrowDown", "reasoning_message"],
      ["k", "ping"],
      ["ArrowUp", "request"],
      ["ArrowUp", "request"],
    ]) {
      press(root, key as string, root.activeElement);
      expect(root.activeElement?.querySelector(":nth-child(5)")?.textContent).toContain(type);
      expect(seen(root, "button.rw[tabindex='0']")).toEqual([root.activeElement]);
    }
    press(root, "e", root.activeElement);
    expect(root.activeElement?.getAttribute("aria-expanded")).toBe("true");
  });

  it("copies what is shown, as it came, and the request that one is at", async () => {
    const copied: string[] = [];
    const writeText = async (text: string): Promise<void> => void copied.push(text);
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
    const root = await shown("answered_tok", file("answered_tok"));
    const [curl, json] = seen(root, ".ends button") as [HTMLElement, HTMLElement];
    json.click();
    const lines = linesOf("answered_tok");
    expect(copied.pop()).toBe(`${lines.slice(0, -1).join("\n")}\n`);
    seen(root, ".chip")[1]?.click();
    json.click();
    expect(
      new Set(
        copied
          .pop()
          ?.trim()
          .split("\n")
          .map((line) => JSON.parse(line).data.message_type),
      ).size,
    ).toBe(1);
    seen(root, ".chip")[0]?.click();
    curl.click();
    expect(copied.pop()).toContain("SCN:approve please");
    seen(root, "button.rw").at(-1)?.click();
    curl.click();
    expect(copied.pop()).toContain('"approve":true');
  });

  it("copies the row that has the focus, as it came, and keeps the key from the notebook", async () => {
    const copied: string[] = [];
    const writeText = async (text: string): Promise<void> => void copied.push(text);
    Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    const lines = linesOf("multi2_tok_server");
    const escaped: string[] = [];
    document.body.onkeydown = ({ key }) => void escaped.push(key);
    seen(root, "button.rw")[0]?.focus();
    press(root, "c", root.activeElement);
    expect(JSON.parse(copied.pop() ?? "").run).toBeDefined();
    press(root, "j", root.activeElement);
    press(root, "c", root.activeElement);
    expect(copied).toEqual([received(lines[1] as string)]);
    press(root, "j", root.activeElement);
    press(root, "c", root.activeElement);
    expect(copied.pop()?.split("\n")).toEqual(lines.slice(2, 9).map(received));
    await expect.poll(() => seen(root, "button.rw>:nth-child(3)").map(textOf)[2]).toBe("Copied");
    document.body.onkeydown = null;
    expect(escaped).toEqual([]);
  });

  it("is counted up to the moment that is shown", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    const tab = (): string => seen(root, "[role=tab]").map(textOf)[1] ?? "";
    const ats = linesOf("multi2_tok_server").flatMap((line) => JSON.parse(line).at ?? []) as number[];
    expect([tab(), ats.length]).toEqual(["Raw 64", 64]);
    const by = (ms: number): number => ats.filter((at) => at * 1000 <= ms).length;
    let before = 64;
    for (const _ of "123") {
      press(root, "{");
      await frame();
      // in whole ms
      const moment = Number(root.querySelector(".rail")?.getAttribute("aria-valuenow"));
      const number = Number(tab().slice(4));
      expect(number).toBeGreaterThanOrEqual(by(moment - 0.6));
      expect(number).toBeLessThanOrEqual(by(moment + 0.6));
      expect(number).toBeLessThan(before);
      before = number;
    }
    expect(before).toBeGreaterThan(0);
    press(root, "End");
    await frame();
    expect(tab()).toBe("Raw 64");
  });

  it("is not counted at a moment before its lines are here", async () => {
    const root = rootOf(saved(load("multi2_tok_server"), async () => file("multi2_tok_server")));
    press(root, "{");
    await frame();
    expect(seen(root, "[role=tab]").map(textOf)[1]).toBe("Raw");
  });

  it("keeps in the page what is near, of however many", async () => {
    const [head, ping] = linesOf("multi2_tok_server") as [string, string];
    const lines = [head, ...Array.from({ length: 20_000 }, (_, n) => ping.replace(/"at":[\d.]+/, `"at":${n}`))];
    const root = await shown("multi2_tok_server", lines.join("\n"));
    await expect.poll(() => seen(root, ".chip")[0]?.textContent).toBe("All20,000");
    expect(root.querySelectorAll("button.rw").length).toBeLessThan(100);
    const box = root.querySelector(".rawbox") as HTMLElement;
    box.scrollTop = 22 * 15_000;
    box.dispatchEvent(new Event("scroll"));
    expect(seen(root, "button.rw>:nth-child(2)").map(textOf)).toContain("15000");
    expect(root.querySelectorAll("button.rw").length).toBeLessThan(100);
  });

  it("says where they are, when they are too many for an output", async () => {
    const root = await shown("multi2_tok_server", null);
    expect(seen(root, ".none").map(textOf)).toEqual([
      "This run is too large to keep its raw events here; run.events has them.",
    ]);
  });

  it("is found by a screen reader", async () => {
    const root = await shown("answered_tok", file("answered_tok"));
    seen(root, "button.rw")[1]?.click();
    expect(await complaints()).toEqual([]);
  });
});

/** A pane of its own, and the lines that it is given. */
async function live(ui = uiOf("")): Promise<{ element: HTMLElement; give(...more: string[]): void }> {
  const lines: string[] = [];
  const source: RawSource = { lines, complete: false, problem: null, ask: () => {} };
  const { RawPane } = await import("../src/view/raw");
  const pane = new RawPane({ store: { last: {} }, ui } as never, source);
  document.body.append(pane.element);
  const give = (...more: string[]): void => {
    lines.push(...more);
    pane.update();
  };
  return { element: pane.element, give };
}

describe("raw events that come while they are looked at", () => {
  it("are the same as those that come at once", async () => {
    const { element, give } = await live();
    const field = element.querySelector("[type=search]") as HTMLElement;
    expect(field.closest("[hidden]")).not.toBeNull();
    give();
    expect(element.textContent).toContain("One moment");
    expect(field.closest("[hidden]")).not.toBeNull();
    const all = linesOf("answered_tok");
    for (const line of all) give(line);
    expect(seen(element, ".none")).toEqual([]);
    expect(element.querySelectorAll("button.rw").length).toBe(folded(rowsOf(all)).length);
  });

  it("leave alone what is open, and what has the focus", async () => {
    const { element, give } = await live();
    const [first, ...others] = linesOf("multi2_tok_server");
    give(first as string);
    const row = element.querySelector<HTMLElement>("button.rw") as HTMLElement;
    row.focus();
    row.click();
    const details = element.querySelector(".rwx");
    const chip = element.querySelector(".chip");
    for (const line of others) give(line);
    expect(document.activeElement).toBe(row);
    expect(element.querySelector(".rwx")).toBe(details);
    expect(element.querySelector(".chip")?.textContent).toBe("All64");
    expect(element.querySelector(".chip")).toBe(chip);
  });

  it("are sifted as they come, and what is asked for last is what is shown", async () => {
    const { element, give } = await live();
    const [head, ping] = linesOf("multi2_tok_server") as [string, string];
    const events = Array.from({ length: 20_000 }, (_, n) => ping.replace(/"at":[\d.]+/, `"at":${n}.5`));
    give(head, ...events.slice(0, 15_000));
    const input = element.querySelector("[type=search]") as HTMLInputElement;
    const numbers = (): string[] => seen(element, "button.rw>:nth-child(2)").map(textOf);
    for (const words of ["nowhere", "ping", '"at":14999.5', '"at":1499']) {
      input.value = words;
      input.dispatchEvent(new Event("input"));
    }
    await expect.poll(numbers).toEqual(["1500", ...Array.from({ length: 10 }, (_, n) => `${14_991 + n}`)]);
    expect(seen(element, ".none")).toEqual([]);
    input.value = '"at":19999.5';
    input.dispatchEvent(new Event("input"));
    give(...events.slice(15_000));
    await expect.poll(numbers).toEqual(["20000"]);
    await expect.poll(() => element.querySelector(".chip")?.textContent).toBe("All20,000");
  });
});

describe("what the reader comes to the raw events with", () => {
  it("is what was chosen and opened while the run went on", async () => {
    const ui = uiOf("");
    const all = linesOf("multi2_tok_server");
    const before = await live(ui);
    before.give(...all);
    seen(before.element, ".chip")[3]?.click();
    before.element.querySelector<HTMLElement>("[type=checkbox]")?.click();
    seen(before.element, "button.rw")[2]?.click();
    const box = before.element.querySelector(".rawbox") as HTMLElement;
    box.scrollTop = 30;
    box.dispatchEvent(new Event("scroll"));
    const stands = (pane: HTMLElement): unknown => [
      seen(pane, ".chip").map((chip) => chip.getAttribute("aria-pressed")),
      pane.querySelector<HTMLInputElement>("[type=checkbox]")?.checked,
      seen(pane, "button.rw").map((row) => [row.textContent, row.ariaExpanded, row.tabIndex]),
      pane.querySelector(".rawbox")?.scrollTop,
    ];
    const after = await live(ui);
    for (const line of all) after.give(line);
    expect(stands(after.element)).toEqual(stands(before.element));
    expect(seen(after.element, ".rwx").map(textOf)).toEqual(seen(before.element, ".rwx").map(textOf));
    expect(seen(after.element, ".rwx")).toHaveLength(1);
    before.element.remove();
    box.scrollTop = 0;
    box.dispatchEvent(new Event("scroll"));
    expect(ui.raw.top).toBe(30);
  });

  it("is the event that told of the failure, where the run failed", async () => {
    const root = rootOf(saved(unseen("disc_tok"), async () => file("disc_tok")));
    seen(root, ".say button")[0]?.click();
    await expect.poll(() => seen(root, ".rwx").map(textOf).join("")).toContain("peer closed connection");
    expect(textOf(root.activeElement?.querySelector(":nth-child(5)") as HTMLElement)).toBe("error_message");
    expect(seen(rootOf(saved(load("multi2_tok_server"))), ".say button")).toEqual([]);
  });

  it("is not that event for who has gone back meanwhile", async () => {
    const root = rootOf(saved(unseen("disc_tok"), async () => file("disc_tok")));
    seen(root, ".say button")[0]?.click();
    press(root, "1");
    await frame();
    press(root, "2");
    await expect.poll(() => types(root).length).toBeGreaterThan(3);
    expect(seen(root, ".rwx")).toEqual([]);
  });

  it("is the filter that was typed in the view before", async () => {
    const raw = file("multi2_tok_server");
    const root = await shown("multi2_tok_server", raw);
    const field = (of: ShadowRoot): HTMLInputElement => of.querySelector("[aria-label='Filter events']") as never;
    field(root).value = "temp_c";
    field(root).dispatchEvent(new Event("input"));
    runs--;
    const again = await shown("multi2_tok_server", raw).catch(() => rootOf(document.body, 1));
    await expect.poll(() => types(again)).toEqual(["tool_return_message"]);
    expect(field(again).value).toBe("temp_c");
  });

  it("is the body of a request, and then the line that tells of it", async () => {
    const root = await shown("multi2_tok_server", file("multi2_tok_server"));
    seen(root, "button.rw")[0]?.click();
    expect(seen(root, ".rwx").map(textOf).join("")).toMatch(/^\{\s*"messages": \[.*in the run file/s);
  });
});
