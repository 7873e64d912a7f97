/** Elements, the only way this page makes them: text is always text, never markup. */

export type Child = Node | string | null | undefined | false;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  cls?: string,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  add(element, ...children);
  return element;
}

export function add(parent: Node, ...children: Child[]): void {
  for (const child of children) {
    if (child) parent.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  }
}

export function set<T extends Element>(element: T, attributes: Record<string, string | null>): T {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
  return element;
}

/** Writes only what differs: reading is cheap, a write costs layout. */
export function say(element: Node, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

export function button(cls: string, label: string, onClick: () => void, ...children: Child[]): HTMLButtonElement {
  const made = h("button", cls, ...children);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}

/** Of the notebook, or of the browser: Ctrl+S, Cmd+C. */
export const isChord = ({ ctrlKey, metaKey }: KeyboardEvent): boolean => ctrlKey || metaKey;

/** Whether nothing else in the page has the focus: what comes late may not take it from who went on elsewhere. */
export function attended(host: Element): boolean {
  const { activeElement } = host.getRootNode() as Document | ShadowRoot;
  return document.hasFocus() && (!activeElement || activeElement === host || activeElement === document.body);
}

/** Out of the view, to the cell that it stands in: in any host what takes the focus around it. */
export function leave(host: Element): void {
  (host.shadowRoot?.activeElement as HTMLElement | null)?.blur();
  host.closest<HTMLElement>("[tabindex]")?.focus({ preventScroll: true });
}

/** Plain keys are the view's while it has the focus, chords such as Ctrl+S the notebook's: what Lumino looks for. */
export function keepKeys(host: HTMLElement, signal: AbortSignal): void {
  const keep = (event: KeyboardEvent): boolean => host.toggleAttribute("data-lm-suppress-shortcuts", !isChord(event));
  window.addEventListener("keydown", keep, { capture: true, signal });
}
