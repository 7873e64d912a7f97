/** Which of many elements are near to what the reader sees: only those need to be in the page with all they hold. */

const MARGIN = "600px 0px";

export class Near {
  private observer: IntersectionObserver | null = null;
  private readonly known = new Set<Element>();

  /** `changed` hears of each element that came near, or went far. */
  constructor(private readonly changed: (element: Element, near: boolean) => void) {}

  /** `root`: what scrolls; null: the window. */
  within(root: Element | null): void {
    if (!globalThis.IntersectionObserver || (this.observer && this.observer.root === root)) return;
    this.observer?.disconnect();
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) this.changed(target, isIntersecting);
      },
      { root, rootMargin: MARGIN },
    );
    for (const element of this.known) this.observer.observe(element);
  }

  watch(element: Element): void {
    this.known.add(element);
    this.observer?.observe(element);
  }

  clear(): void {
    this.observer?.disconnect();
    this.observer = null;
    this.known.clear();
  }
}
