"""Fixtures: one Jupyter Server and one Chromium for all browser tests, a page and a notebook for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Jupyter, Notebook, new_notebook, running_chromium, running_jupyter
from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with running_jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def open_notebook(jupyter: Jupyter, browser: Browser) -> Iterator[Callable[..., Notebook]]:
    """`open_notebook("name.ipynb", "cell", "cell", ...)`; at the end no page may have complained on its console."""
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
