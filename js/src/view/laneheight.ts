/** How high a lane is, by how many there are. */

/** more lanes than this are drawn on one canvas */
export const FEW = 24;
export const LINES = 72;
const BLOCK = 160;

/** px; the block is never over 160. */
export function laneHeight(count: number): number {
  if (count <= 8) return 20;
  if (count <= FEW) return Math.max(6, BLOCK / count);
  return count <= LINES ? Math.max(2, BLOCK / count) : 2;
}

/** px of a canvas: very many lanes share its lines. */
export const plotHeight = (count: number): number => Math.ceil(count / Math.ceil(count / LINES)) * laneHeight(count);
