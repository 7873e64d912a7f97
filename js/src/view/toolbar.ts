/** The bar over the transcript: its name, and what can be done with all of it. */

import { button, h, set } from "../dom";
import { type Icon, icon } from "../icons";
import type { Context } from "./context";
import { transcriptText } from "./plaintext";
import { copy } from "./text";

const COPIED_MS = 1500;

export class Toolbar {
  readonly element: HTMLElement;
  private readonly expand: HTMLButtonElement;
  private readonly tall: HTMLButtonElement;
  private readonly copy: HTMLButtonElement;

  constructor(private readonly ctx: Context) {
    const { ui } = ctx;
    const tool = (name: Icon, cls: string, press: () => void): HTMLButtonElement =>
      button(`ico ${cls}`, "", press, icon(name, 13));
    this.expand = tool("both", "all", () => this.toggleAll());
    this.tall = tool("tall", "", () => {
      ui.full = !ui.full;
      ctx.redraw();
    });
    this.copy = tool("copy", "", () => void this.copyAll());
    const name = h("h3", "", h("span", "", "Transcript"));
    this.element = h("div", "tabs", name, this.expand, this.tall, this.copy);
    this.label(this.copy, "Copy transcript");
  }

  private label(element: HTMLElement, text: string, keyName = ""): void {
    set(element, { "aria-label": text, title: text + (keyName && ` (${keyName})`) });
  }

  toggleAll(): void {
    const { ui } = this.ctx;
    ui.all = ui.all !== true;
    ui.open.clear();
    this.ctx.redraw();
  }

  private async copyAll(): Promise<void> {
    await copy(transcriptText(this.ctx.store), this.copy);
    this.copy.replaceChildren(icon("completed", 13));
    this.label(this.copy, "Copied");
    setTimeout(() => {
      this.copy.replaceChildren(icon("copy", 13));
      this.label(this.copy, "Copy transcript");
    }, COPIED_MS);
  }

  update(): void {
    const { ui } = this.ctx;
    this.label(this.expand, ui.all === true ? "Fold all" : "Expand all", "E");
    this.label(this.tall, ui.full ? "Limit the height" : "Full height");
    set(this.tall, { "aria-pressed": String(ui.full) });
  }
}
