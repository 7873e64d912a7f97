"""What runs cost: known prices, no guesses, and nothing loaded or asked for before somebody wants to know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from recordings import BY_NAME

import letta_nb
from letta_nb import feed, frames, prices, record
from letta_nb.entries import Usage
from letta_nb.protocol import Agent
from letta_nb.run import Run

MINI = (0.15e-6, 0.6e-6, 0.075e-6)  # USD a token: in, out, in from the cache


def used(model: str | None, provider: str | None = None, **tokens: int | None) -> Run:
    run = Run({"input": "x"}, model=model, provider=provider, started=datetime(2026, 6, 1, tzinfo=UTC))
    run.usage_reports.append(Usage(**tokens))
    run.end(None)
    return run


def stepped(*rows: dict[str, Any], model: str | None = None) -> Run:
    """A real run, with these facts of the server's about its steps."""
    run = record.load_one(BY_NAME["0.16.8/v1_multi_step"].path)
    run.model = model
    run.join_server({"steps": [{"id": step.step_id, **row} for step, row in zip(run.steps, rows, strict=False)]})
    return run


def row(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "provider_name": "openai", "prompt_tokens": 1000, "completion_tokens": 100} | more


def test_a_cost_is_tokens_by_the_list_price_of_the_day() -> None:
    cost = used("gpt-4o-mini", input_tokens=1000, output_tokens=100).cost
    assert cost is not None
    assert cost.usd == pytest.approx(1000 * MINI[0] + 100 * MINI[1])
    assert cost.price_date == "2026-06-01"


def test_input_tokens_include_what_was_cached() -> None:
    cost = used("gpt-4o-mini", input_tokens=1000, output_tokens=0, cache_read_input_tokens=400).cost
    assert cost is not None
    assert cost.usd == pytest.approx(600 * MINI[0] + 400 * MINI[2])
    write = {"input_tokens": 1000, "output_tokens": 0, "cache_creation_input_tokens": 1000}
    cost = used("claude-sonnet-4-5-20250929", "anthropic", **write).cost
    assert cost is not None
    assert cost.usd == pytest.approx(1000 * 3.75e-6)


@pytest.mark.parametrize(
    "run",
    [
        Run({"input": "x"}),
        used(None, input_tokens=1000, output_tokens=100),
        used("scripted", "letta_nb", input_tokens=1000, output_tokens=100),
        used("gpt-4o-mini", input_tokens=1000, output_tokens=None),
        used("gpt-4o-mini", input_tokens=0, output_tokens=0),
        used("gpt-4o-mini", "letta", input_tokens=1000, output_tokens=100),
        # not the provider's: a model of that name on one's own machine
        used("deepseek-r1:8b", "ollama", input_tokens=1000, output_tokens=100),
        used("gpt-4o-mini", "lmstudio_openai", input_tokens=1000, output_tokens=100),
        # counts that contradict each other
        used("gpt-4o-mini", input_tokens=10, output_tokens=1, cache_read_input_tokens=20),
        used("gpt-4o-mini" * 1000, input_tokens=10, output_tokens=1),
        stepped(*[row(model="nobody-knows")] * 4),
        stepped(*[row()] * 3, row(model="nobody-knows")),
    ],
)
def test_what_is_not_known_is_none_and_not_nothing(run: Run) -> None:
    assert run.cost is None


@pytest.fixture
def own() -> Iterator[None]:
    yield
    letta_nb.forget_prices()


@pytest.mark.usefixtures("own")
def test_a_price_can_be_set_and_forgotten() -> None:
    run = used("gpt-4o-mini", "openai", input_tokens=1000, output_tokens=100, cache_read_input_tokens=400)
    listed = run.cost
    letta_nb.set_price("gpt-4o-mini", 1, 10)
    assert run.cost == (pytest.approx(1000e-6 + 1000e-6), "2026-06-01")
    letta_nb.set_price("openai/gpt-4o-mini", 1, 10, cache_read=0.5)
    assert run.cost == (pytest.approx(600e-6 + 200e-6 + 1000e-6), "2026-06-01")
    letta_nb.forget_prices("openai/gpt-4o-mini")
    assert run.cost == (pytest.approx(2000e-6), "2026-06-01")
    letta_nb.forget_prices()
    assert run.cost == listed


@pytest.mark.usefixtures("own")
def test_a_model_on_ones_own_machine_can_have_a_price_and_it_may_be_nothing() -> None:
    run = used("my-model", "ollama", input_tokens=1000, output_tokens=100)
    assert run.cost is None
    letta_nb.set_price("ollama/my-model", 0, 0)
    assert run.cost == (0.0, "2026-06-01")
    assert frames.runs_df(run).total_cost_usd.tolist() == [0.0]
    assert frames.usage_df(run).price_date.tolist() == ["2026-06-01"]
    letta_nb.set_price("openai/my-model", 1, 1)
    assert run.cost == (0.0, "2026-06-01")


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), "dear"])
def test_what_is_no_price_is_an_error(price: Any) -> None:
    with pytest.raises(letta_nb.errors.InputError, match="USD a million tokens"):
        letta_nb.set_price("gpt-4o-mini", price, 1)


def test_steps_are_priced_each_by_itself() -> None:
    # above 200,000 tokens a request costs more; four small ones do not
    small = stepped(*[row(model="gemini-2.5-pro", provider_name="google_ai", prompt_tokens=100_000)] * 4)
    assert small.cost is not None
    assert small.cost.usd == pytest.approx(4 * (100_000 * 1.25e-6 + 100 * 10e-6))
    large = used("gemini-2.5-pro", "google_ai", input_tokens=400_000, output_tokens=400)
    assert large.cost is not None
    assert large.cost.usd > small.cost.usd


def test_where_some_steps_are_not_told_the_usage_counts() -> None:
    run = stepped(row(), model="gpt-4o-mini")
    assert run.usage is not None
    assert run.cost is not None
    assert run.cost.usd == prices.of_usage(run, run.usage)


def test_a_provider_that_somebody_named_is_known_by_its_address() -> None:
    run = stepped(*[row(provider_name="our-key", model_endpoint="https://api.openai.com/v1")] * 4)
    assert run.cost is not None
    assert run.cost.usd == pytest.approx(4 * (1000 * MINI[0] + 100 * MINI[1]))
    assert stepped(*[row(provider_name="our-key", model_endpoint="http://127.0.0.1:9/v1")] * 4).cost is None


@pytest.mark.parametrize(
    ("facts", "provider"),
    [
        ({"llm_config": {"model": "gpt-4o-mini", "handle": "openai/gpt-4o-mini"}}, "openai"),
        ({"model": "anthropic/claude-sonnet-4-5"}, "anthropic"),
        ({"llm_config": {"model": "m", "provider_name": "ollama"}}, "ollama"),
        ({"llm_config": {"model": "m", "handle": 3}}, None),
        ({}, None),
    ],
)
def test_who_is_paid_is_read_off_the_agent(facts: dict[str, Any], provider: str | None) -> None:
    agent = Agent.model_validate({"id": "agent-1", **facts})
    assert prices.provider_of(agent.llm_config, agent.model) == provider


def test_the_page_is_told_the_cost_when_it_is_known_and_again_by_steps() -> None:
    run = stepped(*[row()] * 4, model="gpt-4o-mini")
    costs = [
        change["set"]["cost"]
        for change in feed.snapshot(run)["changes"]
        if change.get("op") == "run" and "cost" in change["set"]
    ]
    assert run.cost is not None
    assert len(costs) > 1
    assert costs[-1] == {"usd": run.cost.usd, "price_date": run.cost.price_date}


def test_tables_have_costs_of_runs_steps_and_reports() -> None:
    priced, unknown = stepped(*[row()] * 4, model="gpt-4o-mini"), used("scripted", input_tokens=1, output_tokens=1)
    table = frames.runs_df([priced, unknown])
    assert priced.cost is not None
    assert table["total_cost_usd"].tolist() == [priced.cost.usd, pd.NA]
    assert table["price_date"].tolist() == [priced.cost.price_date, pd.NA]
    steps = frames.steps_df([priced, unknown])
    assert steps["total_cost_usd"].sum() == pytest.approx(priced.cost.usd)
    reports = frames.usage_df([priced, unknown])
    assert reports["total_cost_usd"].tolist() == [prices.of_usage(priced, priced.usage), pd.NA]
    nothing = frames.runs_df(unknown)
    assert nothing["total_cost_usd"].isna().all()
    assert nothing.dtypes.equals(table.dtypes)


def test_nothing_is_loaded_before_a_price_is_asked_for() -> None:
    code = (
        "import sys, letta_nb, letta_nb.client, letta_nb.feed\n"
        "from letta_nb.run import Run\n"
        "letta_nb.feed.snapshot(Run({'input': 'x'}))\n"
        "assert 'genai_prices' not in sys.modules\n"
        "import socket; socket.socket = None\n"
        "from letta_nb import prices; prices.load()\n"
        "assert 'genai_prices' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
