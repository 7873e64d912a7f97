/** Where the hover card stands: under what it is about if there is room, else over it, and inside the view. */

const GAP = 4;
const WIDTH = 318;

/** `fraction` of the anchor's width: where the card's left edge would like to be. */
export function place(card: HTMLElement, frame: HTMLElement, anchor: Element, fraction: number): void {
  const around = frame.getBoundingClientRect();
  const at = anchor.getBoundingClientRect();
  const height = card.offsetHeight;
  const under = at.bottom + GAP + height <= window.innerHeight || at.top - GAP - height < 0;
  const top = under ? at.bottom + GAP : at.top - GAP - height;
  const left = Math.min(at.left + at.width * fraction, around.right - WIDTH - 12);
  card.style.top = `${top - around.top - 1}px`;
  card.style.left = `${Math.max(4, left - around.left)}px`;
}
