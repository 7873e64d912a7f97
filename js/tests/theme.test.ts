import { afterEach, expect, it } from "vitest";
import { followTheme } from "../src/view/theme";

afterEach(() => document.body.replaceChildren());

it("keeps its theme while the host has taken it out of the page", async () => {
  const [behind, output, host, root] = [0, 0, 0, 0].map(() => document.createElement("div"));
  if (!behind || !output || !host || !root) throw new Error("no elements");
  behind.style.backgroundColor = "rgb(17, 17, 17)";
  document.body.append(behind);
  behind.append(output);
  output.append(host);
  const life = new AbortController();
  followTheme(host, root, () => {}, life.signal);
  expect(root.dataset.theme).toBe("dark");
  output.remove();
  document.body.className = "changed";
  await new Promise((done) => setTimeout(done, 0));
  expect(root.dataset.theme).toBe("dark");
  life.abort();
});
