import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { curlOf, type RawRow, received, runOf } from "../src/view/rawlines";
import { Sift } from "../src/view/rawsift";
import { folded, linesOf, NAMES, rowsOf } from "./runfiles";
import { dice } from "./util";

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
