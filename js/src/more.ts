/** What a reader may ask for and mostly does not: code that is fetched, or unpacked, when it is. */

import findCss from "./find.css";
import panesCss from "./panes.css";
import type { Context, More, Shown } from "./view/context";
import { ContextPane } from "./view/contextpane";
import { drawOut } from "./view/drawout";
import { Find } from "./view/find";
import { laneCard } from "./view/lanecard";
import { MemoryPane } from "./view/memory";
import { Menu } from "./view/menu";
import { place } from "./view/place";
import { entryText } from "./view/plaintext";
import { Playing } from "./view/player";
import { Plot } from "./view/plot";
import { RawPane } from "./view/raw";
import { tokenCard } from "./view/tokencard";
import type { Pane } from "./view/ui";

const KEYS: More["keys"] = [
  ["j  k", "next, previous row"],
  ["e  Enter", "open or fold a row"],
  ["E", "expand or fold all"],
  ["x", "next failure"],
  ["/  f", "search and filters"],
  ["1 – 4", "transcript, raw, memory, context"],
  ["[  ]", "one event back, forward"],
  ["{  }", "one step back, forward"],
  ["Home  End", "first moment, last"],
  ["Space", "play, pause"],
  ["z", "zoom to the step, and out"],
  ["c", "copy the row"],
  ["?", "this list"],
];

export const more: More = {
  css: findCss + panesCss,
  keys: KEYS,
  entryText,
  laneCard,
  tokenCard,
  drawOut,
  place,
  plot: (owner) => new Plot(owner),
  player: (ctx, played) => new Playing(ctx, played),
  finder: (ctx, list, signal) => new Find(ctx, list, signal),
  menu: (ctx, element, button) => new Menu(ctx, element, button),
  panes: (ctx: Context): Record<Exclude<Pane, "transcript">, Shown> => ({
    raw: new RawPane(ctx, ctx.outside.raw),
    memory: new MemoryPane(ctx),
    context: new ContextPane(ctx),
  }),
};

const script = globalThis.document?.currentScript as (HTMLScriptElement & { lnbMore?: (it: More) => void }) | null;
script?.lnbMore?.(more);
