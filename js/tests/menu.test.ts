import { afterEach, expect, it, vi } from "vitest";
import { load, rootOf, saved, seen } from "./util";

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

/** The menu of a view that is so high; its tabs stand at 130 px. */
async function opened(height: number): Promise<HTMLElement> {
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockImplementation(function (this: HTMLElement) {
    if (this.matches(".menu")) return new DOMRect(700, 158, 168, 148);
    return this.matches(".lnb") ? new DOMRect(0, 0, 900, height) : new DOMRect();
  });
  const root = rootOf(saved(load("disc_tok")));
  root.querySelector<HTMLElement>(".more .ico")?.click();
  await expect.poll(() => seen(root, ".menu")).toHaveLength(1);
  return seen(root, ".menu")[0] as HTMLElement;
}

it("opens upwards in a view that ends above the menu's end, where a host would cut it off", async () => {
  expect((await opened(280)).classList.contains("up")).toBe(true);
});

it("opens downwards where it has the room", async () => {
  expect((await opened(500)).classList.contains("up")).toBe(false);
});
