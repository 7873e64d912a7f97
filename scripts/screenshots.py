"""Takes the pictures of the README in a real JupyterLab: `make screenshots`; with a folder, of all states.

python scripts/screenshots.py            writes docs/hero.png and docs/approval.png
python scripts/screenshots.py FOLDER     writes every state, light and dark, wide and narrow, to look at
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/browser"))

from harness import Jupyter, Notebook, new_notebook, running_chromium, running_jupyter  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402

PROMPT = "What is the weather in Oslo, and should I bike?"
RENT = "Rent a bike in Oslo and in Bergen for 2 hours"
RECORDINGS = ROOT / "tests/fixtures/0.16.8"
SETUP = "%load_ext letta_nb\nimport letta_nb"

# name: the cell, and when to take the picture
STATES: dict[str, tuple[str, str | None]] = {
    "live-arguments": (f"%letta {PROMPT}", "bike_score"),
    "done": (f"%letta {PROMPT}", None),
    "tool-error": ('letta_nb.send("What is the weather in Atlantis?")', None),
    "parallel": ('letta_nb.send("Compare Paris, Tokyo and Cairo in July.")', None),
    "recorded": (f'letta_nb.load("{RECORDINGS}/v1_multi2_tok.sse")', None),
    "recorded-error": (f'letta_nb.load("{RECORDINGS}/v1_toolerr_tok.sse")', None),
    "recorded-parallel": (f'letta_nb.load("{RECORDINGS}/v1_parallel2_tok.sse")', None),
    "recorded-step": (f'letta_nb.load("{RECORDINGS}/v1_multi_step.sse")', None),
    "approval-live": (f"%letta {RENT}", None),
    "approval": (f'letta_nb.load("{RECORDINGS}/v1_approve_tok_1request.sse")', None),
    "failed": (f'letta_nb.load("{RECORDINGS}/v1_disc_tok.sse")', None),
    "cancelled": (f'letta_nb.load("{RECORDINGS}/v1_cancel_slowtok.sse")', None),
    "interrupted": (f'letta_nb.load("{RECORDINGS}/v1_client_drop_nonbg.sse")', None),
    "long-json": (f'letta_nb.load("{RECORDINGS}/v1_longjson_step.sse")', None),
}


def theme(notebook: Notebook, name: str) -> None:
    """Switch JupyterLab's theme and wait until it is there."""
    notebook.command("apputils:change-theme", theme=f"JupyterLab {name}")
    light = "true" if name == "Light" else "false"
    notebook.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")


def take(notebook: Notebook, cell: int, path: Path, waiting_for: str | None) -> None:
    """Run a cell and photograph it with its output, while it runs or when it is done."""
    before = notebook.count(cell)
    notebook.start(cell)
    if waiting_for is None:
        notebook.wait_done(cell, before)
        notebook.widget(cell).locator(".status").wait_for()
    else:
        notebook.widget(cell).locator(".nm", has_text=waiting_for).wait_for()
    target = notebook.page.locator(".jp-Notebook .jp-Cell").nth(cell)
    target.scroll_into_view_if_needed()
    target.screenshot(path=path, animations="disabled")
    print(path)
    if waiting_for is not None:
        notebook.wait_done(cell, before)


def open_lab(browser: Browser, jupyter: Jupyter, name: str, sources: list[str], width: int) -> Notebook:
    """A notebook in Lab's simple mode without side bars: the notebook and nothing else."""
    jupyter.write(name, *sources)
    options = {"viewport": {"width": width, "height": 1000}, "device_scale_factor": 2}
    notebook = new_notebook(browser, jupyter, name, **options).open()
    notebook.page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.mode = 'single-document'; }")
    notebook.page.add_style_tag(content=".jp-SideBar, .jp-Toolbar { visibility: hidden }")
    notebook.run(0)
    return notebook


def readme(browser: Browser, jupyter: Jupyter, folder: Path) -> None:
    """The README's pictures on the light theme: the first run, done; and one that waits for an answer."""
    folder.mkdir(exist_ok=True)
    notebook = open_lab(browser, jupyter, "hero.ipynb", [SETUP, f"%letta {PROMPT}", f"%letta {RENT}"], 1060)
    take(notebook, 1, folder / "hero.png", None)
    take(notebook, 2, folder / "approval.png", None)


def everything(browser: Browser, jupyter: Jupyter, folder: Path) -> None:
    """All states, to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [SETUP, *(source for source, _ in STATES.values())]
    for width in (1060, 520):
        notebook = open_lab(browser, jupyter, f"states-{width}.ipynb", sources, width)
        for scheme in ("Light", "Dark"):
            theme(notebook, scheme)
            for cell, (name, (_, waiting_for)) in enumerate(STATES.items(), start=1):
                take(notebook, cell, folder / f"{name}-{scheme.lower()}-{width}.png", waiting_for)


def main() -> None:
    work: Callable[[Browser, Jupyter, Path], None] = readme if len(sys.argv) == 1 else everything
    folder = ROOT / "docs" if len(sys.argv) == 1 else Path(sys.argv[1])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        running_jupyter(Path(home)) as jupyter,
        running_chromium() as browser,
    ):
        work(browser, jupyter, folder)


if __name__ == "__main__":
    main()
