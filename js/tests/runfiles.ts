/** Run files that Python wrote, and what a reader sees of them. */

import { readdirSync, readFileSync } from "node:fs";
import { type RawRow, rowOf, runOf } from "../src/view/rawlines";
import { Sift } from "../src/view/rawsift";

export const NAMES = readdirSync("fixtures/raw").map((name) => name.replace(".jsonl", ""));
export const file = (name: string): string => readFileSync(`fixtures/raw/${name}.jsonl`, "utf8");
export const linesOf = (name: string): string[] => file(name).split("\n").filter(Boolean);

export function rowsOf(lines: readonly string[]): RawRow[] {
  const rows: RawRow[] = [];
  lines.forEach((line, n) => {
    const row = rowOf(line, n, rows.at(-1), runOf(lines[0] ?? ""));
    if (row) rows.push(row);
  });
  return rows;
}

/** What a reader sees who asks for nothing else. */
export function folded(rows: readonly RawRow[]): RawRow[] {
  const sift = new Sift({ key: "", words: "", fold: true, passes: () => true }, { lines: [] });
  for (const row of rows) sift.take(row);
  return sift.shown;
}
