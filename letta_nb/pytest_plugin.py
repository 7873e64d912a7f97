"""pytest over run files: fails where new runs are worse than their baseline (see `guard`).

    pytest --letta-new "runs/new/*.jsonl" --letta-baseline "runs/baseline/*.jsonl" --letta-limit p95=1.5

makes one test a limit, skipped where too little is known to tell; in a test of one's own the fixture `letta_check` does
the same:

    def test_weather(letta_check):
        letta_check("runs/new/*.jsonl", "runs/baseline/*.jsonl", tokens=1.05)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from letta_nb.guard import Check, Finding

_LIMITS = "tool_sequence p95 tool_p95 tokens cost error_rate tool_error_rate".split()
_OPTIONS = {"confidence": float, "resamples": int, "seed": int}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("letta_nb", "Letta runs: has it become worse?")
    group.addoption("--letta-new", metavar="GLOB", help="run files to check")
    group.addoption("--letta-baseline", metavar="GLOB", help="run files of before, with the same prompts")
    group.addoption(
        "--letta-limit",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help=f"what is allowed, or `off`: {', '.join(_LIMITS)}; also {', '.join(_OPTIONS)}",
    )
    group.addoption("--letta-strict", action="store_true", help="fail too where more runs would have to tell")


@pytest.fixture
def letta_check() -> Callable[..., Check]:
    """`letta_nb.check` that fails the test, with its findings, where something is worse."""
    from letta_nb.errors import LettaNbError
    from letta_nb.guard import check

    def checked(new: Any, baseline: Any, **limits: Any) -> Check:
        __tracebackhide__ = True
        try:
            found = check(new, baseline, **limits)
        except LettaNbError as problem:
            pytest.fail(str(problem), pytrace=False)
        if not found:
            pytest.fail(str(found), pytrace=False)
        return found

    return checked


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    new, baseline = config.getoption("--letta-new", None), config.getoption("--letta-baseline", None)
    if not new and not baseline:
        return
    if not new or not baseline:
        raise pytest.UsageError("--letta-new and --letta-baseline go together: both are patterns of run files.")
    limits, strict = (
        _limits(config.getoption("--letta-limit", None) or []),
        bool(config.getoption("--letta-strict", False)),
    )
    shared = _Shared(new, baseline, limits, strict)
    # pytest's own constructors have no types
    limit_of: Any = Limit
    items += [
        limit_of.from_parent(session, name=f"letta[{name}]", shared=shared, limit=name)
        for name in _LIMITS
        if shared.limits.get(name, True) not in (None, False)
    ]


def _limits(given: list[str]) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for word in given:
        name, _, value = word.partition("=")
        try:
            limits[name] = _value(name, value)
        except (KeyError, ValueError):
            known = ", ".join([*_LIMITS, *_OPTIONS])
            raise pytest.UsageError(f"--letta-limit {word}: say NAME=NUMBER or NAME=off, of {known}.") from None
    return limits


def _value(name: str, value: str) -> Any:
    if name in _OPTIONS:
        return _OPTIONS[name](value)
    if name not in _LIMITS:
        raise KeyError(name)
    if value == "off":
        return None
    return {"on": True}[value] if name == "tool_sequence" else float(value)


class _Shared:
    """One check, whose findings are tests."""

    def __init__(self, new: str, baseline: str, limits: dict[str, Any], strict: bool) -> None:
        self.new, self.baseline, self.limits, self.strict = new, baseline, limits, strict

    @cached_property
    def check(self) -> Check:
        from letta_nb.guard import check

        return check(self.new, self.baseline, strict=self.strict, **self.limits)


class Limit(pytest.Item):
    """One limit of a check."""

    def __init__(self, *, shared: _Shared, limit: str, **rest: Any) -> None:
        super().__init__(**rest)  # pyright: ignore[reportUnknownMemberType]
        self.shared, self.limit = shared, limit

    def runtest(self) -> None:
        check = self.shared.check
        (finding,) = (finding for finding in check.findings if finding.name == self.limit)
        if finding.verdict == "not compared":
            pytest.skip(finding.words)
        if finding in check.failed:
            raise Worse(finding)
        if finding.verdict == "unclear":  # nothing was shown, so nothing may look as if it were
            pytest.skip(f"unclear, more runs would tell: {finding.words}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Worse):
            finding = excinfo.value.finding
            return "\n".join(filter(None, [f"{finding.verdict}: {finding.words}", finding.diff]))
        from letta_nb.errors import LettaNbError

        return str(excinfo.value) if isinstance(excinfo.value, LettaNbError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[str, None, str]:
        return self.shared.new, None, f"{self.name} against {self.shared.baseline}"


class Worse(AssertionError):
    """A finding that fails."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.words)
        self.finding = finding
