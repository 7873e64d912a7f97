import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import type { RawSource } from "../src/outside";
import { curlOf, type RawRow, received, rowOf, runOf } from "../src/view/rawlines";
import { Sift } from "../src/view/rawsift";
import { complaints, dice, frame, load, press, rootOf, saved, seen, textOf } from "./util";

afterEach(() => document.body.replaceChildren());

const NAMES = readdirSync("fixtures/raw").map((name) => name.replace(".jsonl", ""));
const file = (name: string): string => readFileSync(`fixtures/raw/${name}.jsonl`, "utf8");
const linesOf = (name: string): string[] => file(name).split("\n").filter(Boolean);

function rowsOf(lines: readonly string[]): RawRow[] {
  const rows: RawRow[] = [];
  lines.forEach((line, n) => {
    const row = rowOf(line, n, rows.at(-1), runOf(lines[0] ?? ""));
    if (row) rows.push(row);
  });
  return rows;
}

/** What a reader sees who asks for nothing else. */
function folded(rows: readonly RawRow[]): RawRow[] {
  const sift = new Sift({ key: "", words: "", fold: true, passes: () => true }, { lines: [] });
  for (const row of rows) sift.take(row);
  return sift.shown;
}

describe("lines of a run file", () => {
  it.each(NAMES)("%s: each event is there as it was received, each request in its place", (name) => {
    const lines = linesOf(name);
    const rows = rowsOf(lines);
    const events = lines.filter((line) => line.startsWith('{"at":'));
    expect(rows.filter((row) => !row.request)).toHaveLength(events.length);
    expect(rows.filter((row) => row.request)).toHaveLength(
      1 + lines.filter((line) => line.startsWith('{"leg"')).length,
    );
    for (const row of rows.filter((its) => !its.request)) {
      const text = received(lines[row.line] as string);
      expect(lines[row.line]).toContain(text === "[DONE]" ? '"text":"[DONE]"' : `"data":${text}`);
    }
  });

  it.each(NAMES)("%s: folding joins what continues, and loses nothing", (name) => {
    const rows = rowsOf(linesOf(name));
    const short = folded(rows);
    expect(short.length).toBeLessThanOrEqual(rows.length);
    expect(short.flatMap(({ line, last }) => Array.from({ length: last - line + 1 }, (_, n) => line + n))).toEqual(
      rows.map((row) => row.line),
    );
    const text = (its: RawRow[]): string => its.map((row) => row.tool + row.content).join("");
    expect(text(short)).toBe(text(rows));
  });

  it.each(NAMES)("%s: what is sifted as it comes is what is sifted at the end", (name) => {
    const lines = linesOf(name);
    const rows = rowsOf(lines);
    const roll = dice(name.length);
    const text = lines.join("");
    for (let n = 0; n < 60; n++) {
      const at = Math.floor(roll() * text.length);
      const words = text.slice(at, at + 1 + Math.floor(roll() * 9)).toLowerCase();
      const types = new Set(rows.map(({ type }) => type).filter(() => roll() < 0.7));
      const passes = (row: RawRow): boolean => types.has(row.type);
      const sift = new Sift({ key: "", words, fold: true, passes }, { lines });
      for (const row of rows) sift.take(row);
      const whole = folded(rows.filter(passes)).filter(
        ({ content, line, last }) =>
          content.toLowerCase().includes(words) ||
          lines.slice(line, last + 1).some((its) => its.toLowerCase().includes(words)),
      );
      expect(sift.shown).toEqual(whole);
    }
  });

  it("tell what a reader looks for", () => {
    const rows = folded(rowsOf(linesOf("multi2_tok_server")));
    expect(rows.slice(0, 5).map(({ type, tool, content }) => [type, `${tool} ${content}`.trim().slice(0, 40)])).toEqual(
      [
        ["request", "POST /v1/agents/agent-8e1872b0…/messages"],
        ["ping", ""],
        ["reasoning_message", "Step one: look up the weather."],
        ["tool_call_message", 'get_weather {"city":"Paris"}'],
        ["tool_return_message", '{"city": "Paris", "temp_c": 21}'],
      ],
    );
    expect(rows[4]?.gap).toBeGreaterThan(3);
    expect(rows.at(-1)).toMatchObject({ type: "end of stream", content: "[DONE]" });
  });

  it("tell it of each server: who names a call in its first piece only, and who hands over several in one event", () => {
    const of = (name: string, type: string): string[] =>
      folded(rowsOf(linesOf(name)))
        .filter((row) => row.type === type)
        .map(({ tool, content, line, last }) => `${last - line + 1} ${tool} ${content}`);
    expect(of("seed_memgpt_one_tok", "tool_call_message")[0]).toMatch(/^[5-9] get_weather \{"city":"Paris",/);
    expect(of("parallel_step", "tool_call_message")).toEqual([
      '1  get_weather {"city": "Paris"}; get_weather {"city": "Tokyo"}; slow_lookup {"key": "beta", "seconds": 1}',
    ]);
    expect(of("parallel_step", "tool_return_message")[0]).toMatch(/Paris.*; .*Tokyo.*; value of beta$/);
    expect(of("answered_tok", "approval_request_message")[0]).toMatch(/ danger \{"target":/);
  });

  it("tell the further requests, where they went and how long before", () => {
    const requests = (name: string): string[] =>
      rowsOf(linesOf(name))
        .filter((row) => row.request)
        .map(({ type, at, gap, content }) => `${type} ${at} ${gap?.toFixed(1) ?? ""} ${content.split("/")[2]}`);
    expect(requests("answered_tok")).toEqual(["request 0  agents", "answer request 42.402 42.1 agents"]);
    expect(requests("resumed")).toEqual(["request 0  agents", "resume request 5.61 5.3 runs"]);
  });

  it("survive what is no event", () => {
    const lines = [
      '{"letta_nb":1,"run":{}}',
      '{"at":1,"text":"<html>"}',
      '{"at":2,"data":17}',
      '{"at":3,"data":',
      "null",
    ];
    expect(lines.map(received).slice(1)).toEqual(["<html>", "17", "", ""]);
    expect(rowsOf(lines).map(({ type, content }) => [type, content])).toEqual([
      ["request", "POST /v1/agents/AGENT_ID/messages/stream"],
      ["event", "<html>"],
      ["event", "17"],
      ["event", '{"at":3,"data":'],
    ]);
  });
});

it("a hostile event is one row as any other", () => {
  const odd = {
    message_type: "x".repeat(9000),
    id: 3,
    tool_call: [null],
    tool_calls: 7,
    content: [1, null, { text: {} }],
  };
  const event = 'y"data":'.repeat(40);
  const lines = [
    '{"letta_nb":1,"run":{"agent_id":"\\ud800/../\'","timed":false,"request":[]}}',
    `{"at":null,"event":${JSON.stringify(event)},"data":${JSON.stringify(odd)}}`,
    '{"at":"1","data":{"message_type":"some_request","__proto__":{"run":1}}}',
  ];
  const rows = rowsOf(lines);
  expect(rows.map(({ request, at, gap }) => [request, at, gap])).toEqual([
    [true, null, null],
    [false, null, null],
    [false, null, null],
  ]);
  expect(rows[1]?.type).toHaveLength(61);
  expect(received(lines[1] as string)).toBe(JSON.stringify(odd));
  expect(rows[0]?.content).toBe("POST /v1/agents/%3F%2F..%2F'/messages/stream");
  expect(curlOf(lines[0] as string, runOf(lines[0] as string))).toContain(
    "/v1/agents/%3F%2F..%2F'\\''/messages/stream'",
  );
});

describe("the request as curl", () => {
  const header = (run: object): string => JSON.stringify({ letta_nb: 1, run });
  const curl = (run: object): string => curlOf(header(run), runOf(header(run)));

  it("quotes what a shell would read, and leaves the key to the shell", () => {
    const request = { messages: [{ role: "user", content: 'it\'s $(rm -rf /) `x` "y"\n' }] };
    const text = curl({ server: "https://api.letta.com/", agent_id: "agent-1", request });
    expect(text.split(" \\\n")[0]).toBe("curl -N -X POST 'https://api.letta.com/v1/agents/agent-1/messages/stream'");
    expect(text).toContain('-H "Authorization: Bearer $LETTA_API_KEY"');
    expect(text).toContain("it'\\''s $(rm -rf /) `x`");
  });

  it("needs no key on this machine, and knows where a conversation goes", () => {
    expect(curl({ server: "http://127.0.0.1:8283", agent_id: "a", request: {} })).not.toContain("Authorization");
    const text = curl({ server: "http://h", agent_id: "agent-1", conversation_id: "default", request: { a: 1 } });
    expect(text).toContain("'http://h/v1/conversations/default/messages'");
    expect(text).toContain('{"a":1,"agent_id":"agent-1","streaming":true}');
  });

  it("leaves the address to the shell too where the run does not tell it", () => {
    const text = curl({ server: "Letta 0.16.8", agent_id: "agent-1", request: {} });
    expect(text.split(" \\\n")[0]).toBe("curl -N -X POST \"$LETTA_BASE_URL\"'/v1/agents/agent-1/messages/stream'");
    expect(text).toContain("Authorization");
  });

  it("of a stream that was taken up again goes to its run", () => {
    const run = { server: "http://localhost:8283", conversation_id: "conv-1", run_id: "run-7" };
    const text = curlOf('{"leg":{"kind":"resume","request":{"starting_after":4}}}', run);
    expect(text).toContain("'http://localhost:8283/v1/runs/run-7/stream'");
    expect(text).toContain(`-d '{"starting_after":4}'`);
  });

  it("is read by a shell as it was meant", () => {
    const body = { messages: [{ content: 'it\'s "so" $HOME `id` \\ !x\n' }] };
    const line = header({ server: "https://h", agent_id: "a", request: body });
    const script = curlOf(line, runOf(line)).replace(/^curl/, "printf '%s\\0'");
    const words = execFileSync("sh", ["-c", script], { env: { LETTA_API_KEY: "k" } })
      .toString()
      .split("\0");
    expect(words.slice(0, -3)).toEqual([
      ..."-N -X POST https://h/v1/agents/a/messages/stream -H".split(" "),
      "Content-Type: application/json",
      "-H",
      "Authorization: Bearer k",
    ]);
    expect(JSON.parse(words.at(-2) ?? "")).toEqual(body);
  });
});

let runs = 0;

async function shown(name: string, raw: string | null): Promise<ShadowRoot> {
  runs++;
  const changes = load(name).changes.map((change, n) =>
    n === 0 && change.op === "run" ? { ...change, set: { ...change.set, uid: `raw-${runs}` } } : change,
  );
  const root = rootOf(saved({ ...load(name), changes }, raw === null ? null : async () => raw));
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
async function live(): Promise<{ element: HTMLElement; give(...more: string[]): void }> {
  const lines: string[] = [];
  const source: RawSource = { lines, complete: false, problem: null, ask: () => {} };
  const { RawPane } = await import("../src/view/raw");
  const pane = new RawPane({ store: { last: {} } } as never, source);
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
    give();
    expect(element.textContent).toContain("One moment");
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
