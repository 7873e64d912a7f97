"""A real Jupyter Server on a loopback port and a real Chromium: notebooks are driven by command, not by keys."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# these end a test that hangs, and are no measure: on a machine that does other things all takes several times as long
START_S = 120
WAIT_MS = 60_000
READY_MS = 120_000
# what Notebook 7.6 throws by itself on an empty notebook
HOST_ERRORS = (
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
)
expect.set_options(timeout=WAIT_MS)


@dataclass
class Jupyter:
    """A running Jupyter Server: `root` is its folder of notebooks."""

    url: str
    root: Path

    def write(self, name: str, *sources: str, cells: list[Any] | None = None) -> Path:
        """A notebook of code cells on disk."""
        cells = cells or [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        nbformat.write(notebook, path)
        return path

    def end_kernels(self) -> None:
        """End all kernels; each holds 150 MB, and some still run what a test began."""
        # what a page of the server's own would send
        same_site = {"Cookie": "_xsrf=tests", "X-XSRFToken": "tests"}
        with urllib.request.urlopen(f"{self.url}/api/kernels") as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            url = f"{self.url}/api/kernels/{kernel['id']}"
            urllib.request.urlopen(urllib.request.Request(url, headers=same_site, method="DELETE")).close()


@contextmanager
def running_jupyter(home: Path) -> Iterator[Jupyter]:
    """JupyterLab and Notebook 7 on one server, with nothing of the user's; `home` holds all it writes."""
    root = home / "notebooks"
    root.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    for name in ("LETTA_BASE_URL", "LETTA_API_KEY", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--IdentityProvider.token=", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"),
        *("--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True"),
    ]
    _quiet(home / "config")
    log = (home / "jupyter.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=root)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(process, f"{url}/api/status", home / "jupyter.log")
        yield Jupyter(url, root)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _quiet(config: Path) -> None:
    """Answer what JupyterLab asks at its first start: no news, no update check."""
    settings = config / "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false", "checkForUpdates": false}')


def wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until a server that was started answers."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"It did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError("No chromium on the PATH. `make test-browser` installs Debian's.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@dataclass
class Notebook:
    """One notebook open in a page. `errors` is what the console complained of."""

    page: Page
    jupyter: Jupyter
    name: str
    app: str = "lab"
    errors: list[str] = field(default_factory=list)

    def open(self) -> Notebook:
        """Load, or reload, the page and wait for the kernel to be ready to take cells."""
        if self.app == "lab":
            url = f"{self.jupyter.url}/lab/workspaces/{self.name.replace('.', '-')}/tree/{self.name}?reset"
        else:
            url = f"{self.jupyter.url}/notebooks/{self.name}"
        self.page.goto(url)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until the notebook is there and its kernel, if it has one, takes cells."""
        self.page.wait_for_function(_READY, timeout=READY_MS)

    def command(self, name: str, **arguments: Any) -> Any:
        """Execute an application command and wait for it."""
        return self.page.evaluate("([name, args]) => { jupyterapp.commands.execute(name, args) }", [name, arguments])

    def start(self, cell: int) -> None:
        """Run a cell without waiting for it."""
        self.page.evaluate(_RUN, cell)

    def run(self, cell: int) -> None:
        """Run a cell and wait for its end."""
        before = self.count(cell)
        self.start(cell)
        self.wait_done(cell, before)

    def count(self, cell: int) -> int | None:
        """The execution count of a cell, None while it runs or never ran."""
        return self.page.evaluate(f"{_PANEL}.content.widgets[{cell}].model.sharedModel.execution_count")

    def wait_done(self, cell: int, before: int | None = None) -> None:
        """Wait until a cell has an execution count other than `before`."""
        self.page.wait_for_function(
            f"before => {{ const n = {_PANEL}.content.widgets[{cell}].model.sharedModel.execution_count; "
            "return n !== null && n !== before; }",
            arg=before,
            timeout=READY_MS,
        )

    def output(self, cell: int) -> Locator:
        """The output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea").first

    def widget(self, cell: int) -> Locator:
        """The letta_nb view in a cell's output, live or frozen."""
        return self.output(cell).locator(".lnb").first

    def save(self) -> Any:
        """Save, and return the notebook as it is on disk."""
        self.page.evaluate(f"async () => {{ await {_PANEL}.context.save(); }}")
        return nbformat.read(self.jupyter.root / self.name, as_version=4)

    def shut_down_kernel(self) -> None:
        """End the kernel."""
        self.page.evaluate(f"async () => {{ await {_PANEL}.sessionContext.shutdown(); }}")

    def evaluate_in_kernel(self, code: str) -> str:
        """Run code in the kernel beside the cells; its text result."""
        return self.page.evaluate(_EXECUTE, code)


_PANEL = "jupyterapp.shell.currentWidget"
_READY = f"""() => {{
  const panel = window.jupyterapp && {_PANEL};
  return panel && panel.content && panel.content.widgets && panel.context && panel.context.isReady
    && panel.sessionContext.isReady && (panel.sessionContext.session === null
      || panel.sessionContext.session.kernel?.connectionStatus === 'connected');
}}"""
_RUN = f"""cell => {{
  {_PANEL}.content.activeCellIndex = cell;
  {_PANEL}.content.deselectAll();
  jupyterapp.commands.execute('notebook:run-cell');
}}"""
_EXECUTE = f"""async code => {{
  const kernel = {_PANEL}.sessionContext.session.kernel;
  const future = kernel.requestExecute({{code, store_history: false}});
  let text = '';
  future.onIOPub = message => {{
    if (message.header.msg_type === 'stream') text += message.content.text;
    if (message.header.msg_type === 'error') text += message.content.evalue;
  }};
  await future.done;
  return text;
}}"""


def new_notebook(browser: Browser, jupyter: Jupyter, name: str, app: str = "lab", **options: Any) -> Notebook:
    """A notebook in a page of its own that notes what its console complains of; not opened yet."""
    options.setdefault("viewport", {"width": 1100, "height": 900})
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(WAIT_MS)
    notebook = Notebook(page, jupyter, name, app)
    page.on("console", lambda message: _complaint(notebook, message))
    page.on("pageerror", lambda error: None if str(error) in HOST_ERRORS else notebook.errors.append(str(error)))
    return notebook


@contextmanager
def notebooks(browser: Browser, jupyter: Jupyter) -> Iterator[Callable[..., Notebook]]:
    """`open("name.ipynb", "cell", "cell", ...)`; at the end no page may have complained on its console."""
    opened: list[Notebook] = []

    def open_(name: str, *sources: str, app: str = "lab", **options: Any) -> Notebook:
        if sources:
            jupyter.write(name, *sources)
        opened.append(new_notebook(browser, jupyter, name, app, **options))
        return opened[-1].open()

    yield open_
    for notebook in opened:
        notebook.page.context.close()
    complaints = [error for notebook in opened for error in notebook.errors]
    assert not complaints, complaints


def _complaint(notebook: Notebook, message: ConsoleMessage) -> None:
    url = message.location.get("url", "")
    of_jupyter = (
        # Jupyter Server 2.21 knows a kernel before it knows its state: who lists the kernels just then gets this
        ("status of 500" in message.text and "/api/kernels?" in url)
        # JupyterLab 4 asks each new kernel for its debugger, and may still wait for that when a test ends the kernel
        or message.text.startswith("Could not restore the debugger state")
    )
    if message.type == "error" and not of_jupyter:
        notebook.errors.append(f"{message.text} ({url})")
