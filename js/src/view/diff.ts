/** What changed between two texts, by line. Pure. */

export interface Change {
  kind: "same" | "added" | "removed";
  text: string;
}

/** a table of more cells than this is not made: what lies between the common ends is told as a whole */
const MOST = 1_000_000;

const lines = (text: string | null): string[] => (text ? text.replace(/\n$/, "").split("\n") : []);

/** The longest common subsequence of lines, with what stands between. */
export function diff(before: string | null, after: string | null): Change[] {
  const [a, b] = [lines(before), lines(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const same = (texts: string[]): Change[] => texts.map((text) => ({ kind: "same", text }));
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))];
}

function between(a: string[], b: string[]): Change[] {
  const whole: Change[] = [
    ...a.map((text): Change => ({ kind: "removed", text })),
    ...b.map((text): Change => ({ kind: "added", text })),
  ];
  if (!a.length || !b.length || a.length * b.length > MOST) return whole;
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => longest[i * width + j] as number;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const made: Change[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      made.push({ kind: "same", text: a[i] as string });
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      made.push({ kind: "removed", text: a[i++] as string });
    } else made.push({ kind: "added", text: b[j++] as string });
  }
  return made;
}

export const tally = (changes: readonly Change[]): { added: number; removed: number } => ({
  added: changes.filter((its) => its.kind === "added").length,
  removed: changes.filter((its) => its.kind === "removed").length,
});
