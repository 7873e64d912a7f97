/** Which raw events are shown: by type, by words, deltas of one block as one. Takes rows in one by one, as they come. */

import { goesOn, join, type RawRow } from "./rawlines";

/** What a reader wants to see; two of one key want the same. */
export interface Wanted {
  readonly key: string;
  /** in small letters */
  readonly words: string;
  readonly fold: boolean;
  readonly passes: (row: RawRow) => boolean;
}

export class Sift {
  readonly shown: RawRow[] = [];
  /** rows that were looked at */
  taken = 0;
  private last: RawRow | undefined;

  constructor(
    readonly wanted: Wanted,
    private readonly source: { readonly lines: readonly string[] },
  ) {}

  take(row: RawRow): void {
    const { wanted, shown, last } = this;
    this.taken++;
    if (!wanted.passes(row)) return;
    let its = row;
    if (wanted.fold && last && goesOn(last, row)) {
      its = last;
      join(its, row);
      if (shown.at(-1) === its) return;
    } else {
      if (wanted.fold) its = { ...row };
      this.last = its;
    }
    if (this.fits(its, row.line)) shown.push(its);
  }

  /** The words are in its content, or in the line that it has just got. */
  private fits(row: RawRow, line: number): boolean {
    const { words } = this.wanted;
    if (!words || row.content.toLowerCase().includes(words)) return true;
    return !!this.source.lines[line]?.toLowerCase().includes(words);
  }
}
