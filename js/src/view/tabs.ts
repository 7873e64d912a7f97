/** The tab row: the panes, and at its end what can be done with all of them. */

import { button, h, say, set, show } from "../dom";
import { icon } from "../icons";
import { count } from "../time";
import type { Context, Menus } from "./context";
import type { Pane } from "./ui";

const PANES: readonly (readonly [Pane, string])[] = [
  ["transcript", "Transcript"],
  ["raw", "Raw"],
  ["memory", "Memory"],
  ["context", "Context"],
];

export class Tabs {
  readonly element: HTMLElement;
  private readonly tabs = new Map<Pane, HTMLButtonElement>();
  private readonly expand: HTMLButtonElement;
  private readonly search: HTMLButtonElement;
  private readonly events = h("i");
  private menu: Menus | null = null;
  private opening = false;

  constructor(
    private readonly ctx: Context,
    panes: Readonly<Record<Pane, HTMLElement>>,
    find: () => void,
  ) {
    const list = set(h("div", "tl"), { role: "tablist", "aria-label": "Run" });
    for (const [pane, word] of PANES) {
      const tab = button("", "", () => this.choose(pane), h("span", "", word, pane === "raw" && this.events));
      const body = panes[pane];
      body.id = `${ctx.id}${pane}`;
      tab.id = `${body.id}-tab`;
      set(tab, { role: "tab", "aria-controls": body.id });
      set(body, { role: "tabpanel", "aria-labelledby": tab.id });
      this.tabs.set(pane, tab);
      list.append(tab);
    }
    list.addEventListener("keydown", (event) => this.move(event));
    this.expand = button("ico all", "", () => this.toggleAll(), icon("both", 13));
    this.search = button("ico", "Search", find, icon("search", 13));
    set(this.search, { title: "Search (/)" });
    const more = button("ico", "More", () => void this.openMenu(more), icon("more", 14));
    set(more, { "aria-haspopup": "menu", "aria-expanded": "false", title: "More" });
    this.element = h("div", "tabs", list, this.expand, this.search, h("span", "more", more));
  }

  private async openMenu(from: HTMLElement): Promise<void> {
    // pressed again while the menu is on its way
    if (this.opening) return;
    this.opening = true;
    const more = await this.ctx.more();
    this.opening = false;
    this.menu ??= more?.menu(this.ctx, from.parentElement as HTMLElement, from) ?? null;
    this.menu?.toggle();
  }

  /** True: the menu was open. */
  closeMenu(): boolean {
    return this.menu?.close(true) ?? false;
  }

  tab(pane: Pane): HTMLElement | null {
    return this.tabs.get(pane) ?? null;
  }

  private get shown(): Pane[] {
    return PANES.map(([pane]) => pane).filter((pane) => !this.tabs.get(pane)?.hidden);
  }

  choose(pane: Pane): void {
    if (this.tabs.get(pane)?.hidden) return;
    this.ctx.ui.pane = pane;
    this.ctx.redraw();
  }

  /** The nth tab, from 1. */
  nth(number: number): void {
    const pane = PANES[number - 1]?.[0];
    if (pane) this.choose(pane);
  }

  private move(event: KeyboardEvent): void {
    const { shown } = this;
    const at = shown.indexOf(this.ctx.ui.pane);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    const next = to === undefined ? undefined : shown.at(to % shown.length);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(next);
    this.tabs.get(next)?.focus();
  }

  toggleAll(): void {
    const { ui } = this.ctx;
    ui.all = ui.all !== true;
    ui.open.clear();
    this.ctx.redraw();
  }

  update(): void {
    const { ui, store } = this.ctx;
    const { memory, events, usage } = store.last;
    const steps = store.steps.some(({ facts }) => typeof facts.input_tokens === "number");
    const has: Record<Pane, boolean> = {
      transcript: true,
      raw: true,
      memory: !!memory,
      context: steps || typeof usage?.context_tokens === "number",
    };
    // the tab in use stays while an earlier moment knows nothing of it
    for (const [pane, tab] of this.tabs) {
      show(tab, has[pane] || ui.pane === pane);
      const chosen = ui.pane === pane;
      set(tab, { "aria-selected": String(chosen), tabindex: chosen ? "0" : "-1" });
    }
    const { moment } = store;
    const come = moment === null ? events : this.ctx.outside.raw.upTo?.(moment);
    say(this.events, come ? ` ${count(come)}` : "");
    const label = ui.all === true ? "Fold all" : "Expand all";
    set(this.expand, { "aria-label": label, title: `${label} (E)` });
    show(this.expand, ui.pane === "transcript");
    set(this.search, { "aria-expanded": String(ui.sought.open && ui.pane === "transcript") });
  }
}
