/** Runs that no recording shows: many lanes, long texts, rare entries. As snapshots. */

const WORDS =
  "the agent looked at the weather in Oslo and thought about bicycles and rain while a slow tool was running".split(
    " ",
  );
const prose = (n) => Array.from({ length: n }, (_, i) => WORDS[(i * 7 + (i >> 3)) % WORDS.length]).join(" ");

class Made {
  constructor(uid, head = {}) {
    this.uid = uid;
    this.at = 0;
    this.entries = 0;
    this.steps = 0;
    this.changes = [];
    this.run({
      uid,
      agent: "demo-agent",
      model: "gpt-4o-mini",
      status: "running",
      timed: true,
      delivery: "token",
      events: 0,
      ...head,
    });
    this.say("user", null, head.prompt ?? "What is the weather in Oslo, and should I bike?", 0);
  }
  run(set) {
    this.changes.push({ op: "run", at: this.at, set });
    return this;
  }
  step(ms = 60, facts = {}) {
    this.at += ms;
    this.changes.push({ op: "step", at: this.at, step: this.steps++, id: `step-${this.steps}`, ...facts });
    return this;
  }
  open(kind, step, facts = {}) {
    this.changes.push({ op: "open", at: this.at, entry: this.entries, kind, step, ...facts });
    return this.entries++;
  }
  say(kind, step, text, ms = 40, facts = {}) {
    const entry = this.open(kind, step, facts);
    this.at += ms;
    if (text) this.changes.push({ entry, text, marks: [this.at, text.length] });
    return this;
  }
  call(name, args, ms, result, facts = {}) {
    this.say("tool_call", this.steps - 1, args, 30, { name, call_id: `call-${this.entries}` });
    const entry = this.entries - 1;
    this.at += ms;
    const set = {
      returned: this.at,
      result,
      status: "success",
      stdout: [],
      stderr: [],
      duration: ms,
      duration_source: "client",
      at_most: false,
      ...facts,
    };
    if (result !== null) this.changes.push({ op: "entry", at: this.at, entry, set });
    return this;
  }
  end(set = {}) {
    this.at += 60;
    this.run({ stop_reason: "end_turn" });
    this.run({ status: "completed", ended: this.at, error: null, events: this.changes.length, ...set });
    return this.snapshot();
  }
  snapshot() {
    return { seq: this.changes.length, now: this.at, changes: this.changes };
  }
}

function many(n) {
  const run = new Made(`many-${n}`);
  for (let i = 0; i < n - 1; i++) {
    run.step(20 + (i % 5) * 30).say("reasoning", i, `Step ${i + 1}: ${prose(9)}`, 40);
    const bad = i % 17 === 11;
    const facts = bad
      ? {
          status: "error",
          stderr: [`Traceback (most recent call last):\n  File "/srv/tools/x.py", line ${i}, in f\nKeyError: ${i}`],
        }
      : {};
    run.call(
      ["lookup", "search", "get_weather"][i % 3],
      `{"q": "${WORDS[i % 9]}", "n": ${i}}`,
      60 + ((i * 137) % 700),
      bad ? `Error executing function f: KeyError: ${i}` : `{"ok": true, "n": ${i}}`,
      facts,
    );
  }
  run.step().say("assistant", n - 1, "All looked up.", 90);
  return run.end({ usage: usage(120_000, 4_000) });
}

const usage = (input, output) => ({
  input_tokens: input,
  output_tokens: output,
  total_tokens: input + output,
  cache_read_input_tokens: Math.round(input / 3),
  cache_creation_input_tokens: null,
  reasoning_output_tokens: Math.round(output / 4),
  context_tokens: 9_000,
  step_count: 3,
});

export const ANSWER = `It is **21 degrees** in Oslo, so *yes*: take the bike.

| Hour | Rain, mm | Wind |
|------|---------|------|
| 9    | 0.0     | calm |
| 12   | 0.2     | 4 m/s |

1. Check the \`tyres\`
2. Take a [map](https://example.org/oslo), not [this](javascript:alert(1))

\`\`\`python
def bike(weather):
    return weather.temp_c > 10 and not weather.storm
\`\`\`

> Rain later, says the forecast. ![a picture](https://example.org/x.png)
`;

function rich() {
  const run = new Made("rich");
  run.say("system", null, `You are a careful assistant. ${prose(60)}`, 0);
  run.step().say("reasoning", 0, `${prose(30)}\n\n${prose(140)}\n- one\n- two\n${prose(90)}`, 700);
  const rows = JSON.stringify(
    Array.from({ length: 40 }, (_, i) => ({ hour: i, temp_c: 10 + (i % 9), sky: ["clear", "rain", "cloud"][i % 3] })),
  );
  run.call(
    "forecast",
    `{"city": "Oslo", "options": {"units": "metric", "hours": [0, 1, 2, 3], "nested": {"deep": {"deeper": {"deepest": [1, 2, {"x": "y"}]}}}}, "note": "${prose(14)}"}`,
    1400,
    rows,
    { stdout: [`${Array.from({ length: 30 }, (_, i) => `line ${i} ${prose(6)}`).join("\n")}\n`] },
  );
  run
    .step()
    .say("hidden_reasoning", 1, "", 300)
    .call("pages", `{"q": "${prose(40)}"}`, 300, `{"text": "${prose(80)}"}`);
  run
    .say("compaction", 1, "")
    .say("summary", 1, prose(50), 20)
    .say("unknown", 1, "", 0, { message_type: "future_message" });
  run.step(180).say("assistant", 2, ANSWER, 900);
  return run.end({ usage: usage(12_345, 678) });
}

function untimed() {
  const run = rich();
  for (const change of run.changes) {
    if ("at" in change) change.at = null;
    if (!change.op) change.marks = [];
    if (change.op === "run")
      Object.assign(
        change.set,
        change.set.uid ? { timed: false, uid: "untimed" } : {},
        "ended" in change.set ? { ended: null } : {},
      );
    if (change.op === "entry") Object.assign(change.set, { returned: null, duration: null, duration_source: null });
  }
  return { ...run, now: null };
}

export const made = () => ({
  "many-8": many(8),
  "many-16": many(16),
  "many-60": many(60),
  "many-500": many(500),
  rich: rich(),
  untimed: untimed(),
});
