/** Drawing out a part of the time in the lanes, to see it closer. */

import { h } from "../dom";
import type { Timed } from "./context";

const DRAG_PX = 6;

export function drawOut(timed: Timed, down: PointerEvent | null): void {
  timed.element.addEventListener("pointerdown", (event) => draw(timed, event));
  if (down) draw(timed, down);
}

function draw({ element, grid, scale, card, ctx }: Timed, down: PointerEvent): void {
  const box = grid.getBoundingClientRect();
  const at = (event: PointerEvent): number => (event.clientX - box.left) / box.width;
  if (down.button !== 0 || !scale || at(down) < 0 || at(down) > 1) return;
  /** 0 to 1 of the track */
  let range: [number, number] | null = null;
  const drawn = h("i", "drawn");
  const move = (event: PointerEvent): void => {
    // let go of outside
    if (!event.buttons) {
      end(event);
      return;
    }
    const far = Math.abs(event.clientX - down.clientX) >= DRAG_PX;
    range = far || range ? ([at(down), at(event)].sort((a, b) => a - b) as [number, number]) : null;
    if (!range) return;
    card.close();
    element.setPointerCapture(down.pointerId);
    drawn.style.left = `${Math.max(range[0], 0) * 100}%`;
    drawn.style.right = `${(1 - Math.min(range[1], 1)) * 100}%`;
    grid.append(drawn);
  };
  const end = (event: Event): void => {
    for (const name of ["pointerup", "pointercancel"]) element.removeEventListener(name, end);
    element.removeEventListener("pointermove", move);
    drawn.remove();
    if (!range || event.type !== "pointerup") return;
    ctx.ui.zoom = [scale.ms(range[0]), scale.ms(range[1])];
    ctx.redraw();
    // where Escape, which undoes it, is heard
    element.querySelector<HTMLElement>(".ln")?.focus({ preventScroll: true });
  };
  element.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, end);
}
