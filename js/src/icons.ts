/** 12 px icons, drawn here: no icon font, no request. */

const NS = "http://www.w3.org/2000/svg";

const PATHS = {
  running: "M2 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
  completed: "M2 6.5 4.8 9.2 10 3.2",
  requires_approval: "M1.4 6a4.6 4.6 0 1 0 9.2 0a4.6 4.6 0 1 0-9.2 0zM6 3.4V6l1.8 1.2",
  interrupted: "M1 6h3.2M7.8 6H11M5 8.6 7 3.4",
  cancelled: "M2.5 2.5h7v7h-7z",
  failed: "M2.6 2.6 9.4 9.4M9.4 2.6 2.6 9.4",
  stop: "M3.5 2.5h5a1 1 0 0 1 1 1v5a1 1 0 0 1-1 1h-5a1 1 0 0 1-1-1v-5a1 1 0 0 1 1-1z",
  right: "M4.5 2.5 8 6 4.5 9.5",
  down: "M2.5 4.5 6 8 9.5 4.5",
  up: "M2.5 7.5 6 4 9.5 7.5",
  play: "M3.5 2v8l6-4z",
  pause: "M3 2h2v8H3zM7 2h2v8H7z",
  search: "M2 5a3 3 0 1 0 6 0a3 3 0 1 0-6 0zM7.3 7.3 10.5 10.5",
  more: "M1.8 6h.4M5.8 6h.4M9.8 6h.4",
  both: "M3 4.2 6 1.5l3 2.7M3 7.8l3 2.7 3-2.7",
} as const;

export type Icon = keyof typeof PATHS;

const FILLED = new Set<Icon>(["running", "stop", "play", "pause"]);

export function icon(name: Icon, size = 12): SVGSVGElement {
  const svg = document.createElementNS(NS, "svg");
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", PATHS[name]);
  const filled = FILLED.has(name);
  const attributes = {
    width: size,
    height: size,
    viewBox: "0 0 12 12",
    "aria-hidden": "true",
    fill: filled ? "currentColor" : "none",
    stroke: filled ? "none" : "currentColor",
    "stroke-width": 1.6,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, String(value));
  svg.append(path);
  return svg;
}
