/** A view in place of the bare HTML of a saved output. */

/** Where it cannot be drawn the bare HTML, which is `what`, stays, and the reader is told. */
export function instead(output: HTMLElement, what: string, draw: () => void): void {
  if (output.querySelector(":scope > .lnb-host")) return;
  const bare = output.querySelector<HTMLElement>(":scope > .lnb-bare");
  try {
    widen(output);
    draw();
    if (bare) bare.style.display = "none";
  } catch (error) {
    console.error("letta_nb", error);
    output.querySelector(":scope > .lnb-host")?.remove();
    const words = document.createElement("p");
    words.textContent = `This output could not be drawn. The ${what} below is complete.`;
    output.prepend(words);
  }
}

/** JupyterLab leaves room on the right of HTML and none of a widget: the one is as wide as the other was. */
function widen(output: HTMLElement): void {
  const { parentElement: parent, style } = output;
  if (parent?.classList.contains("jp-RenderedHTML")) style.marginRight = `-${getComputedStyle(parent).paddingRight}`;
}
