/** Of the code that is there, what the code that comes later (`more.ts`) uses too, so that it does not come twice. */

import { attended, button, h, isChord, say, set, show } from "./dom";
import { icon } from "./icons";
import { lettered } from "./json";
import { callsOf, waits } from "./phases";
import { count, fine, moment, plural, time } from "./time";
import { failed, fate, stdoutOf } from "./view/call";
import { compacted } from "./view/compacted";
import { KINDS, key } from "./view/kinds";
import { LINES, laneHeight, plotHeight } from "./view/laneheight";
import { figure, nameOf, parts } from "./view/lanewords";
import { Scale } from "./view/scale";
import { filters, isSlow, passes, toggle } from "./view/sought";
import { copy } from "./view/text";
import { textView, valueView } from "./view/value";

// biome-ignore format: one line a module
export const shared = {
  attended, button, h, isChord, say, set, show,
  icon,
  lettered,
  callsOf, waits,
  count, fine, moment, plural, time,
  failed, fate, stdoutOf,
  compacted,
  KINDS, key,
  LINES, laneHeight, plotHeight,
  figure, nameOf, parts,
  Scale,
  filters, isSlow, passes, toggle,
  copy,
  textView, valueView,
};
