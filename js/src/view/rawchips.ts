/** Raw events by type: a chip each for the most frequent, one for the others. */

import { button, h, say, set } from "../dom";
import { count } from "../time";
import type { RawRow } from "./rawlines";
import type { Looked } from "./ui";

const MOST = 3;
const ALL = "";
/** no type has this name */
const OTHER = "\n";

const word = (type: string): string =>
  type === ALL ? "All" : type === OTHER ? "other" : type.replace(/_message$/, "") || type;

export class RawChips {
  readonly element = h("span", "chips");
  private top: string[] = [];
  private readonly chips = new Map<string, HTMLButtonElement>();
  private readonly counts = new Map<string, number>();
  private total = 0;

  constructor(
    private readonly looked: Looked,
    private readonly changed: () => void,
  ) {}

  /** What is chosen, as it stands: what is "other" may become one of the most frequent. */
  get passes(): (row: RawRow) => boolean {
    const { top } = this;
    const { type: chosen } = this.looked;
    if (chosen === OTHER) return ({ type }) => !top.includes(type);
    return ({ type }) => chosen === ALL || type === chosen;
  }

  /** Another one when other rows pass. */
  get key(): string {
    const { type } = this.looked;
    return JSON.stringify([type, type === OTHER && this.top]);
  }

  count({ type, request }: RawRow): void {
    if (request) return;
    this.counts.set(type, (this.counts.get(type) ?? 0) + 1);
    this.total++;
  }

  update(): void {
    const { counts, total } = this;
    const { type: chosen } = this.looked;
    const of = (type: string): number => counts.get(type) ?? 0;
    const types = [...counts.keys()].sort((a, b) => of(b) - of(a));
    // one that is left over would be no shorter as "other"
    const top = types.slice(0, types.length > MOST + 1 ? MOST : MOST + 1);
    // what the reader chose stays
    if (types.includes(chosen) && !top.includes(chosen)) top[top.length - 1] = chosen;
    this.top = top;
    const others = total - top.reduce((sum, type) => sum + of(type), 0);
    const all = [ALL, ...top, ...(others || chosen === OTHER ? [OTHER] : [])];
    this.draw(all, (type) => (type === ALL ? total : type === OTHER ? others : of(type)));
  }

  /** A chip stays where it is as long as the types do: it may have the focus. */
  private draw(types: string[], of: (type: string) => number): void {
    if (JSON.stringify(types) !== JSON.stringify([...this.chips.keys()])) {
      const known = new Map(this.chips);
      this.chips.clear();
      for (const type of types) this.chips.set(type, known.get(type) ?? this.chip(type));
      this.element.replaceChildren(...this.chips.values());
    }
    for (const [type, chip] of this.chips) {
      say(chip.lastChild as Node, count(of(type)));
      set(chip, { "aria-pressed": String(type === this.looked.type) });
    }
  }

  private chip(type: string): HTMLButtonElement {
    const choose = (): void => {
      this.looked.type = type;
      this.changed();
    };
    return button("chip", "", choose, h("span", "", word(type)), h("b"));
  }
}
