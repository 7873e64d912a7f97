/** Light or dark: by what is behind the widget, and again when the page changes its mind. */

const NAMES = ["class", "style", "data-theme", "data-jp-theme-light", "data-vscode-theme-kind"];
const SETTLE_MS = [250, 2000];

/** Red, green, blue and alpha, 0 to 1, of a computed colour; null for a notation that no browser computes to. */
export function parseColor(text: string): [number, number, number, number] | null {
  const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
  const [r, g, b, a = 1] =
    text.startsWith("color(") && text.includes("srgb") ? numbers : numbers.map((n, i) => (i < 3 ? n / 255 : n));
  if (!/^(rgba?|color)\(/.test(text) || r === undefined || g === undefined || b === undefined) return null;
  return [r, g, b, a];
}

export function isDark(text: string): boolean | null {
  const color = parseColor(text);
  if (!color || color[3] < 0.5) return null;
  const [r, g, b] = color.map((part) => part ** 2.2) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.18;
}

function behind(element: Element): boolean {
  for (let at: Element | null = element; at; ) {
    const dark = isDark(getComputedStyle(at).backgroundColor);
    if (dark !== null) return dark;
    const root: Node = at.getRootNode();
    at = at.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
  }
  return canvasIsDark(element);
}

/** Nothing is painted behind: the browser's own paper. */
function canvasIsDark(element: Element): boolean {
  const probe = document.createElement("span");
  probe.style.color = "Canvas";
  element.append(probe);
  const dark = isDark(getComputedStyle(probe).color);
  probe.remove();
  return dark ?? false;
}

export function followTheme(host: HTMLElement, root: HTMLElement, changed: () => void, signal: AbortSignal): void {
  const look = (): void => {
    // out of the page it has no colours: Lab takes an output out and puts it back
    const parent = host.isConnected && host.parentElement;
    if (!parent) return;
    const theme = behind(parent) ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    changed();
  };
  // a theme's colours come some time after its name
  const again = (): void => {
    look();
    for (const ms of SETTLE_MS) setTimeout(look, ms);
  };
  look();
  const observer = new MutationObserver(again);
  for (const element of [document.body, document.documentElement])
    observer.observe(element, { attributeFilter: NAMES });
  const query = window.matchMedia?.("(prefers-color-scheme: dark)");
  query?.addEventListener?.("change", again, { signal });
  const seen = globalThis.IntersectionObserver && new IntersectionObserver(look);
  seen?.observe(host);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    seen?.disconnect();
  });
}
