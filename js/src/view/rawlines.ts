/** The lines of a run file as a reader sees them: each event as received, each request. Pure. See letta_nb/record.py. */

export interface RawRow {
  /** line of the run file, and for a run of deltas the last one */
  line: number;
  last: number;
  /** number of the event, from 1; for a request, of the event before it */
  number: number;
  request: boolean;
  /** s since the request; null where nothing was timed */
  at: number | null;
  gap: number | null;
  type: string;
  /** the tool that is called */
  tool: string;
  content: string;
  /** the message, and the call, that a delta is a piece of; "" for what is no delta, and where no call is named */
  block: string;
  call: string;
}

/** names of the wire, which no interface declares: a bundle shortens the names of those */
type Facts = Record<string, unknown>;

const MOST = 240;
const LONGEST_TYPE = 60;
const DELTAS = new Set(["reasoning_message", "assistant_message", "tool_call_message", "approval_request_message"]);
/** what every event has, and says nothing about this one */
const COMMON = new Set("id date name message_type otid sender_id step_id is_err seq_id run_id".split(" "));
const facts = (value: unknown): Facts => (typeof value === "object" && value !== null ? (value as Facts) : {});
const words = (value: unknown): string => (typeof value === "string" ? value : "");
const moment = (value: unknown): number | null => (typeof value === "number" ? value : null);
const short = (text: string, most = MOST): string => (text.length > most ? `${text.slice(0, most)}…` : text);

function parsed(text: string): Facts {
  try {
    return facts(JSON.parse(text));
  } catch {
    return { text };
  }
}

/** An event exactly as it was received. */
export function received(line: string): string {
  const mark = ',"data":';
  const at = line.indexOf(mark);
  return at < 0 ? words(parsed(line).text) : line.slice(at + mark.length, line.lastIndexOf("}"));
}

/** An id as one segment of a path, whatever it holds. */
const segment = (id: unknown, unknown: string): string =>
  encodeURIComponent((words(id) || unknown).replace(/\p{Surrogate}/gu, "?"));

/** Where a request went, by what it asked. */
function pathOf(run: Facts, request: Facts): string {
  if ("starting_after" in request) return `/v1/runs/${segment(run.run_id, "RUN_ID")}/stream`;
  if (words(run.conversation_id)) return `/v1/conversations/${segment(run.conversation_id, "")}/messages`;
  return `/v1/agents/${segment(run.agent_id, "AGENT_ID")}/messages/stream`;
}

/** What a line shows; null for one that is neither an event nor a request. */
export function rowOf(text: string, line: number, before: RawRow | undefined, run: Facts): RawRow | null {
  const its = parsed(text);
  const head = its.run ?? its.leg;
  if (!head && its.data === undefined && its.text === undefined) return null;
  const row: RawRow = {
    line,
    last: line,
    number: before?.number ?? 0,
    request: !!head,
    at: head ? requested(its) : moment(its.at),
    gap: null,
    type: "request",
    tool: "",
    content: "",
    block: "",
    call: "",
  };
  if (row.at !== null && before && before.at !== null) row.gap = row.at - before.at;
  if (!head) return event(row, its);
  if (its.leg) row.type = `${words(facts(its.leg).kind)} request`;
  const path = pathOf(run, facts(facts(head).request));
  row.content = `POST ${path.replace(/([^/]{14})[^/]{6,}/g, "$1…")}`;
  return row;
}

function requested({ run, leg }: Facts): number | null {
  return leg ? moment(facts(leg).at) : facts(run).timed === false ? null : 0;
}

function event(row: RawRow, { data: its, event, text }: Facts): RawRow {
  const data = facts(its);
  const calls = several(data.tool_calls ?? data.tool_call);
  const call = calls.length === 1 ? (calls[0] as Facts) : {};
  row.number++;
  row.type = words(data.message_type) || words(event) || (text === "[DONE]" ? "end of stream" : "event");
  row.tool = words(call.name);
  const said = calls.length === 1 ? words(call.arguments) : words(text) || saidIn(data, calls) || remainder(its);
  if (DELTAS.has(row.type)) {
    row.block = `${row.type} ${words(data.id)}`;
    row.call = words(call.tool_call_id);
  }
  row.type = short(row.type, LONGEST_TYPE);
  row.content = short(said);
  return row;
}

/** A server may hand over one, or a list. */
const several = (value: unknown): Facts[] => [value ?? []].flat().map(facts);

function saidIn(data: Facts, calls: Facts[]): string {
  if (calls.length) return calls.map((call) => `${words(call.name)} ${words(call.arguments)}`).join("; ");
  const returns = several(data.tool_returns);
  if (returns.length > 1) return returns.map((its) => words(its.tool_return)).join("; ");
  const said = data.reasoning ?? data.content ?? data.tool_return ?? data.summary ?? data.stop_reason ?? data.message;
  return Array.isArray(said) ? said.map((part) => words(facts(part).text)).join("") : words(said);
}

/** What is left of an event that has no text of its own. */
function remainder(its: unknown): string {
  if (typeof its !== "object" || its === null || Array.isArray(its)) return JSON.stringify(its) ?? "";
  const rest = Object.entries(its).filter(([key, value]) => !COMMON.has(key) && value !== null);
  return JSON.stringify(Object.fromEntries(rest)).slice(1, -1);
}

/** A delta of the block that `before` is the beginning of. */
export function goesOn(before: RawRow, row: RawRow): boolean {
  // a server may name the call in its first piece only
  const same = before.block !== "" && before.block === row.block && (!row.call || row.call === before.call);
  return same && before.last === row.line - 1;
}

/** Makes one row of two. */
export function join(before: RawRow, row: RawRow): void {
  before.last = row.line;
  before.tool ||= row.tool;
  before.content = short(before.content + row.content);
}

/** The body of a request. */
export function bodyOf(text: string): string {
  const its = parsed(text);
  return JSON.stringify(facts(its.leg ?? its.run).request ?? null);
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as one would send it from a shell; the key is left to the reader's own environment. */
export function curlOf(text: string, run: Facts): string {
  const its = parsed(text);
  const request = facts(facts(its.leg ?? its.run).request);
  const server = words(run.server).replace(/\/+$/, "");
  // a recording knows the server's version, not its address
  const known = /^https?:\/\//.test(server);
  const path = quoted(pathOf(run, request));
  const url = known ? quoted(server + pathOf(run, request)) : `"$LETTA_BASE_URL"${path}`;
  const local = /^https?:\/\/(127\.|localhost\b|\[::1\])/.test(server);
  const headers = ["'Content-Type: application/json'", ...(local ? [] : ['"Authorization: Bearer $LETTA_API_KEY"'])];
  const own = run.conversation_id === "default" ? { agent_id: run.agent_id } : {};
  const sends = run.conversation_id && !("starting_after" in request);
  const body = sends ? { ...request, ...own, streaming: true } : request;
  const options = [...headers.map((header) => `-H ${header}`), `-d ${quoted(JSON.stringify(body))}`];
  return `curl -N -X POST ${[url, ...options].join(" \\\n  ")}\n`;
}

/** Events that had come by a moment, ms. */
export function upTo(lines: readonly string[], moment: number): number {
  const at = (line: string): number => Number(/^{"at":([\d.]+)/.exec(line)?.[1] ?? Number.NaN) * 1000;
  // the page's moments are rounded to 0.1 ms
  return lines.filter((line) => at(line) < moment + 0.06).length;
}

/** What the first line of a run file says of the run. */
export const runOf = (header: string): Facts => facts(parsed(header).run);
