/** Arguments and results: JSON as a line, a tree or a table, anything else as received. */

import { button, h, say, set } from "../dom";
import { type Json, line, parse, plain, type Table, table } from "../json";
import { Clip, HARD_CAP } from "./text";

const ONE_LINE = 72;
const DEPTH = 3;
const CHILDREN = 20;
const COLUMNS = 8;
const ROWS = 20;

/** `asReceived`: with what is escaped in JSON as it was escaped. */
export function valueView(text: string, asReceived = false): HTMLElement {
  const json = parse(text, asReceived);
  if (!json) return textView(text);
  const short = line(json, ONE_LINE + 1);
  if (short.length <= ONE_LINE) return h("pre", "", ...highlight(json));
  const rows = table(json);
  return rows ? tableView(rows) : h("div", "json m", ...tree(json, 0, ""));
}

export function textView(text: string, cls = ""): HTMLElement {
  const shown = text.length > HARD_CAP ? text.slice(0, HARD_CAP) : text;
  const pre = h("pre", cls, shown.replace(/\n$/, ""));
  return new Clip(pre, 12, () => text).later().element;
}

const dim = (text: string): HTMLElement => h("span", "dd", text);

/** A short value, keys dim. */
export function highlight(json: Json): (Node | string)[] {
  // strings run their own way, and what stands between them does not turn with them
  if (json.kind === "leaf") return [json.raw.startsWith('"') ? h("bdi", "", json.raw) : json.raw];
  if (json.kind === "array") return ["[", ...joined(json.items.map(highlight)), "]"];
  return ["{", ...joined(json.items.map(([key, its]) => [dim(`${key}:`), " ", ...highlight(its)])), "}"];
}

function joined(parts: (Node | string)[][]): (Node | string)[] {
  return parts.flatMap((part, n) => (n ? [", ", ...part] : part));
}

/** Lines of a tree; what is deep or long opens on a click. */
function tree(json: Json, depth: number, tail: string, key?: string): HTMLElement[] {
  const head = key === undefined ? [] : [dim(`${key}:`), " "];
  const indent = (element: HTMLElement, by = depth): HTMLElement => {
    element.style.paddingLeft = `${by * 2}ch`;
    return element;
  };
  if (json.kind === "leaf" || !json.items.length || line(json, ONE_LINE).length <= ONE_LINE - depth * 2) {
    return [indent(h("div", "", ...head, ...highlight(json), tail))];
  }
  const [left, right] = json.kind === "object" ? (["{", "}"] as const) : (["[", "]"] as const);
  if (depth >= DEPTH) return [folded(json, depth, tail, head, left + right, indent)];
  const rows = [indent(h("div", "", ...head, left)), ...children(json, depth, 0)];
  rows.push(indent(h("div", "", right + tail)));
  return rows;
}

function folded(
  json: Exclude<Json, { kind: "leaf" }>,
  depth: number,
  tail: string,
  head: (Node | string)[],
  ends: string,
  indent: (element: HTMLElement, by?: number) => HTMLElement,
): HTMLElement {
  const what = `${json.items.length} ${json.kind === "object" ? "keys" : "items"}`;
  const box = h("div", "");
  const open = button("lk", "", () => {
    box.replaceChildren(
      indent(h("div", "", ...head, ends[0] ?? "")),
      ...children(json, depth, 0, 0),
      indent(h("div", "", (ends[1] ?? "") + tail)),
    );
  });
  say(open, what);
  box.append(indent(h("div", "", ...head, ends[0] ?? "", " ", open, " ", (ends[1] ?? "") + tail)));
  return box;
}

function children(json: Exclude<Json, { kind: "leaf" }>, depth: number, from: number, base = depth + 1): HTMLElement[] {
  const upTo = Math.min(json.items.length, from + CHILDREN);
  const rows: HTMLElement[] = [];
  for (let n = from; n < upTo; n++) {
    const item = json.items[n];
    if (!item) break;
    const tail = n < json.items.length - 1 ? "," : "";
    const made = Array.isArray(item) ? tree(item[1], base, tail, item[0]) : tree(item, base, tail);
    if (base === depth + 1) rows.push(...made);
    else rows.push(shifted(made, depth + 1 - base));
  }
  if (upTo < json.items.length) rows.push(moreRow(json, depth, upTo, base));
  return rows;
}

function moreRow(json: Exclude<Json, { kind: "leaf" }>, depth: number, from: number, base: number): HTMLElement {
  const row = h("div", "");
  row.style.paddingLeft = `${(depth + 1) * 2}ch`;
  const more = button("lk", "", () => row.replaceWith(...children(json, depth, from, base)));
  say(more, `${json.items.length - from} more`);
  row.append(more);
  return row;
}

/** An opened deep part counts its depth anew, but stands where it stood. */
function shifted(rows: HTMLElement[], by: number): HTMLElement {
  const box = h("div", "", ...rows);
  box.style.marginLeft = `${by * 2}ch`;
  return box;
}

function tableView(data: Table): HTMLElement {
  const columns = data.columns.slice(0, COLUMNS);
  const body = h("tbody");
  const fill = (upTo: number): void => {
    body.replaceChildren(
      ...data.rows
        .slice(0, upTo)
        .map((row) =>
          h("tr", "", ...row.slice(0, COLUMNS).map((cell) => h("td", "", cell ? plain(cell).slice(0, 500) : ""))),
        ),
    );
  };
  fill(ROWS);
  const head = h("thead", "", h("tr", "", ...columns.map((name) => h("th", "", name))));
  const scroll = set(h("div", "scroll", h("table", "grid-t", head, body)), {
    tabindex: "0",
    role: "group",
    "aria-label": "Table",
  });
  const box = h("div", "", scroll);
  if (data.columns.length > COLUMNS) box.append(h("div", "dd", `${data.columns.length - COLUMNS} more columns`));
  if (data.rows.length > ROWS) {
    const more = button("lk", "", () => {
      fill(2000);
      more.remove();
    });
    say(more, `Show all ${data.rows.length} rows`);
    box.append(more);
  }
  return box;
}
