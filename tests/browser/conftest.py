"""Fixtures: one Jupyter Server and one Chromium for the tests of a worker; a page, a notebook and a kernel for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Jupyter, Notebook, notebooks, running_chromium, running_jupyter
from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(400))


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
    with notebooks(browser, jupyter) as open_:
        yield open_
    jupyter.end_kernels()
