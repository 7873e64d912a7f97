/** A traceback in the well: places dim, code in ink, the error red; directories cut, and whole on hover. */

import { h } from "../dom";
import { HARD_CAP } from "./text";

const PLACE = /^(\s*File ")([^"]*[/\\])([^"/\\]*", line \d+.*)$/;

export function tracebackView(text: string): HTMLElement {
  const lines = text.slice(0, HARD_CAP).trimEnd().split("\n");
  const last = lines.length - 1;
  const pre = h("pre", "well");
  pre.tabIndex = 0;
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", "Traceback");
  lines.forEach((its, n) => {
    if (n) pre.append("\n");
    pre.append(lineView(its, n === last && n > 0));
  });
  // what is copied is what was received
  pre.addEventListener("copy", (event) => {
    const selection = document.getSelection()?.toString() ?? "";
    if (!selection.includes("…/") || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  });
  return pre;
}

function lineView(line: string, error: boolean): Node {
  if (error) return h("span", "e", line);
  const place = PLACE.exec(line);
  if (place) {
    const folder = h("span", "", "…/");
    folder.title = place[2] ?? "";
    return h("span", "d", place[1] ?? "", folder, place[3] ?? "");
  }
  return /^\S|^\s*[\^~]+\s*$/.test(line) ? h("span", "d", line) : document.createTextNode(line);
}
