"""Takes the pictures of the README and of docs/gallery.md in a real JupyterLab: `make screenshots`.

python scripts/screenshots.py                       every picture of `pictures.py`, into docs/
python scripts/screenshots.py --only live,error     some of them
python scripts/screenshots.py --to FOLDER           elsewhere; with --widths 320, at other widths
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/browser"), str(ROOT / "scripts")]

from harness import Jupyter, Notebook, new_notebook, running_chromium, running_jupyter  # noqa: E402
from palette import save  # noqa: E402
from pictures import PICTURES, SETUP, Picture  # noqa: E402
from playwright.sync_api import Browser, FloatRect, Locator  # noqa: E402

FOLDERS = ("scripts", "tests/benchmarks")
CELL = 1
MARGIN = 12
HEIGHT = 1800
GROUND = {"light": "white", "dark": "#111"}
# nothing of Lab is seen but the cell; the fonts have Arial's measures, as most hosts' do
DRESS = """
body {
  --jp-ui-font-family: "Liberation Sans", Arial, sans-serif; --jp-code-font-family: "Liberation Mono", monospace;
  --jp-content-font-family: var(--jp-ui-font-family);
}
.jp-Toolbar, .jp-SideBar, .jp-Collapser, .jp-cell-toolbar, .jp-Notebook-footer, .jp-OutputPrompt, .jp-Cell:first-child {
  visibility: hidden !important;
}
.jp-Notebook, .jp-Notebook .jp-Cell { box-shadow: none !important; outline: none !important; border: 0 !important }
.jp-InputArea-editor { box-shadow: none !important; border-color: var(--jp-cell-editor-border-color) !important }
.jp-Notebook .jp-OutputArea-output, .jp-Notebook .jp-InputArea-editor { flex: none !important }
.jp-Notebook .jp-OutputArea-output { margin: 0 !important; padding: 0 !important; max-height: none !important }
"""
ALONE = ".jp-Cell-inputWrapper { visibility: hidden !important }"
WIDE = ".jp-Notebook .jp-OutputArea-output, .jp-Notebook .jp-InputArea-editor {{ width: {}px !important }}"


def open_lab(browser: Browser, jupyter: Jupyter, name: str) -> Notebook:
    """A notebook in Lab's simple mode without side bars."""
    options = {"viewport": {"width": 1120, "height": HEIGHT}, "device_scale_factor": 2}
    notebook = new_notebook(browser, jupyter, name, **options).open()
    page = notebook.page
    page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.mode = 'single-document'; }")
    page.evaluate("() => { jupyterapp.commands.execute('statusbar:toggle') }")
    page.add_style_tag(content=DRESS)
    return notebook


def dress(notebook: Notebook, scheme: str, width: int, *, cell: bool = False) -> None:
    """Lab's theme, how wide an output is, and whether the cell's input is seen."""
    page = notebook.page
    light = str(scheme == "light").lower()
    if page.evaluate("document.body.dataset.jpThemeLight") != light:
        notebook.command("apputils:change-theme", theme=f"JupyterLab {scheme.capitalize()}")
    # the theme's name comes before its colours
    page.wait_for_function(
        "ground => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0') === ground",
        arg=GROUND[scheme],
    )
    page.evaluate("() => document.getElementById('wide')?.remove()")
    page.add_style_tag(content=WIDE.format(width) + ("" if cell else ALONE)).evaluate("its => { its.id = 'wide' }")


def run(notebook: Notebook, source: str, *, wait: bool) -> None:
    """Put this into the cell and run it; nothing of what it showed before is left."""
    notebook.page.evaluate(
        """([cell, source, wait]) => {
          const { content } = jupyterapp.shell.currentWidget;
          const { model } = content.widgets[cell];
          // what a reader chose is kept by run
          for (const key of Object.getOwnPropertySymbols(globalThis))
            if (key.description?.startsWith('letta_nb.ui')) globalThis[key].clear();
          model.clearExecution();
          model.sharedModel.setSource(source);
          content.activeCellIndex = cell;
          const done = jupyterapp.commands.execute('notebook:run-cell');
          // at its end Lab takes the focus
          return wait ? done.then(() => null) : null;
        }""",
        [CELL, source, wait],
    )


def frame(parts: list[Locator]) -> FloatRect:
    """The rectangle around these, with a margin."""
    boxes = [box for part in parts if (box := part.bounding_box()) is not None]
    left, top = (min(box[side] for box in boxes) - MARGIN for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def shoot(notebook: Notebook, picture: Picture, view: Locator, path: Path) -> None:
    """Photograph the view, its card and, if wanted, the cell that made it."""
    page = notebook.page
    parts = [view, *view.locator(".card:visible").all()]
    cell = page.locator(".jp-Notebook .jp-Cell").nth(CELL)
    if picture.cell:
        page.evaluate(
            "cell => { jupyterapp.shell.currentWidget.content.widgets[cell].model.sharedModel.execution_count = 2 }",
            CELL,
        )
        parts += [cell.locator(".jp-InputArea-prompt"), cell.locator(".jp-InputArea-editor")]
    clip = frame(parts)
    if picture.bottom and (end := view.locator(picture.bottom).first.bounding_box()):
        clip["height"] = end["y"] + end["height"] - clip["y"]
    assert clip["y"] + clip["height"] < HEIGHT, f"{picture.name} is higher than the page"
    save(page.screenshot(clip=clip, animations="disabled", caret="hide"), path)


def take(notebook: Notebook, picture: Picture, path: Path) -> None:
    """Run it, pose its view, photograph it; what still runs is stopped."""
    run(notebook, picture.source.replace("RECORDED", str(ROOT / "tests/fixtures")), wait=not picture.runs)
    if picture.host != "kernel":
        return
    view = pose(notebook, picture)
    shoot(notebook, picture, view, path)
    if picture.after:
        picture.after(view)
    notebook.wait_done(CELL)


def pose(notebook: Notebook, picture: Picture) -> Locator:
    """The picture's view, as it is to be seen."""
    notebook.page.mouse.move(5, 5)
    view = notebook.output(CELL).locator(picture.view).first
    view.wait_for()
    picture.pose(view)
    if not view.locator(".card:visible").count():
        notebook.page.mouse.move(5, 5)
    return view


def reopen(browser: Browser, notebook: Notebook, picture: Picture, scheme: str, width: int, path: Path) -> None:
    """Photograph what the notebook has kept, in a page of its own and without a kernel; changed, it is not trusted."""
    kept = notebook.save()
    if picture.host == "untrusted":
        kept.cells[0].source += "\n"
    name = f"{path.stem}.ipynb"
    nbformat.write(kept, notebook.jupyter.root / name)
    other = open_lab(browser, notebook.jupyter, name)
    other.shut_down_kernel()
    dress(other, scheme, width)
    shoot(other, picture, pose(other, picture), path)
    other.page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    parser.add_argument("--only", default="", help="names, with commas")
    parser.add_argument("--widths", type=int, nargs="*", default=[])
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    wanted = [picture for picture in PICTURES if not options.only or picture.name in options.only.split(",")]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        running_jupyter(Path(home)) as jupyter,
        running_chromium() as browser,
    ):
        jupyter.write("pictures.ipynb", SETUP.format(paths=[str(ROOT / folder) for folder in FOLDERS]), "")
        notebook = open_lab(browser, jupyter, "pictures.ipynb")
        for scheme in GROUND:
            # another server: an agent that was asked nothing yet
            notebook.run(0)
            for picture in wanted:
                for width in options.widths or picture.widths:
                    path = options.to / f"{picture.name}-{scheme}-{width}.png"
                    dress(notebook, scheme, width, cell=picture.cell)
                    take(notebook, picture, path)
                    if picture.host != "kernel":
                        reopen(browser, notebook, picture, scheme, width, path)


if __name__ == "__main__":
    main()
