/** JSON, laid out and not changed: numbers, keys and escapes stay as they were received. */

export type Json =
  | { kind: "object"; items: [key: string, value: Json][] }
  | { kind: "array"; items: Json[] }
  | { kind: "leaf"; raw: string };

const MAX = 200_000;
const DEPTH = 200;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/**
 * Signs for what would reorder the text around it, one for one: who approves a call must see what will run. The twin of
 * letta_nb/cleaning.py, for what a person is asked about.
 */
export const marked = (text: string): string => text.replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

const LIKE_JSON = /^\s*[{[]/;

/** Letters that were escaped, as who writes JSON in ASCII does; what is not seen stays escaped. */
export function lettered(text: string): string {
  if (!LIKE_JSON.test(text)) return text;
  return text.replace(/\\\\|(?:\\u[\da-f]{4})+/gi, (raw) => {
    const letters = JSON.parse(`"${raw}"`) as string;
    return /[^\xa1-\u{10ffff}]|[\p{C}\p{Zl}\p{Zp}]/u.test(letters) ? raw : letters;
  });
}

/** A JSON object or array, whole and short enough to lay out; else null. */
export function parse(text: string, asReceived = false): Json | null {
  if (text.length > MAX || !LIKE_JSON.test(text)) return null;
  try {
    JSON.parse(text);
    const tokens = (asReceived ? text : lettered(text)).match(TOKEN) ?? [];
    return value(tokens, { at: 0 }, 0);
  } catch {
    return null;
  }
}

function value(tokens: readonly string[], cursor: { at: number }, depth: number): Json {
  if (depth > DEPTH) throw new RangeError("too deep");
  const token = tokens[cursor.at++] ?? "null";
  if (token === "{") {
    const items: [string, Json][] = [];
    while (tokens[cursor.at] !== "}") {
      const key = tokens[cursor.at] ?? "";
      cursor.at += 2;
      items.push([key, value(tokens, cursor, depth + 1)]);
      if (tokens[cursor.at] === ",") cursor.at++;
    }
    cursor.at++;
    return { kind: "object", items };
  }
  if (token === "[") {
    const items: Json[] = [];
    while (tokens[cursor.at] !== "]") {
      items.push(value(tokens, cursor, depth + 1));
      if (tokens[cursor.at] === ",") cursor.at++;
    }
    cursor.at++;
    return { kind: "array", items };
  }
  return { kind: "leaf", raw: token };
}

/** On one line, `{"city": "Paris", "temp_c": 21}`, and no longer than is of use. */
export function line(json: Json, most = 2000): string {
  if (json.kind === "leaf") return json.raw;
  const [open, shut] = json.kind === "object" ? "{}" : "[]";
  let made = open as string;
  for (const [n, item] of json.items.entries()) {
    if (made.length > most) return `${made}…`;
    const part = Array.isArray(item) ? `${item[0]}: ${line(item[1], most)}` : line(item, most);
    made += (n ? ", " : "") + part;
  }
  return made + shut;
}

/** The text of a JSON string; other values as written. */
export function plain(json: Json): string {
  if (json.kind !== "leaf") return line(json);
  if (!json.raw.startsWith('"')) return json.raw;
  return unquoted(json.raw);
}

/** A string of JSON may hide in an escape what it does not show as it stands. */
export const unquoted = (raw: string): string => marked(JSON.parse(raw) as string);

export interface Table {
  columns: string[];
  rows: (Json | undefined)[][];
}

/** A list of flat objects with the same keys, as a table; else null. */
export function table(json: Json): Table | null {
  if (json.kind !== "array" || json.items.length < 2) return null;
  const first = json.items[0];
  if (first?.kind !== "object" || !first.items.length) return null;
  const columns = first.items.map(([key]) => key);
  const rows: (Json | undefined)[][] = [];
  for (const item of json.items) {
    if (item.kind !== "object" || item.items.length !== columns.length) return null;
    const cells = new Map(item.items);
    if (columns.some((key) => cells.get(key)?.kind !== "leaf")) return null;
    rows.push(columns.map((key) => cells.get(key)));
  }
  return { columns: columns.map(unquoted), rows };
}
