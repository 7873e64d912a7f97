"""What tokens cost, by the list prices that `genai-prices` ships, or by those that somebody sets with `set_price`: no
network, and None where no price is known.

Prices are those of the day on which a run was sent, in US dollars. Input tokens include those read from and written to
a cache, with all providers. Importing the prices takes half a second, so nothing does before a price is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from letta_nb.entries import Step, Usage
from letta_nb.errors import InputError

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

    from letta_nb.run import Run

_PRICES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
# by model, as `set_price` was told: USD a million tokens, by the names of the price list
_own: dict[str, dict[str, Decimal]] = {}
# models on one's own machine cost nothing that a list could know, whatever they are called
_SELF_HOSTED = ("ollama", "lmstudio", "vllm", "sglang", "llama")
_LONGEST_NAME = 200


class Cost(NamedTuple):
    """What a run's tokens cost: `usd` by the provider's list price of `price_date` (ISO 8601)."""

    usd: float
    price_date: str | None


class _Seller(NamedTuple):
    """Which model, and who is paid for it: the provider's name, else the address that the server asks."""

    model: str | None
    provider: str | None = None
    endpoint: str | None = None


def set_price(
    model: str,
    input: float,
    output: float,
    *,
    cache_read: float | None = None,
    cache_write: float | None = None,
) -> None:
    """Say what a model's tokens cost, in USD a million: what you pay, where the list has another price, or none.

    `model`: its name, or `provider/name` for that provider's alone. From now on it counts in `run.cost` and all tables,
    of earlier runs too. `cache_read`, `cache_write`: as `input` unless told. Raises InputError for what is no price.
    """
    try:
        told = [None if price is None else Decimal(str(price)) for price in (input, output, cache_read, cache_write)]
    except InvalidOperation:
        told = []
    if (
        not isinstance(model, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        or not model
        or not told
        or any(price is not None and not (price.is_finite() and price >= 0) for price in told)
    ):
        raise InputError(f'A price of {model!r} is USD a million tokens: set_price("openai/gpt-4o-mini", 0.15, 0.60).')
    _own[model] = {name: price for name, price in zip(_PRICES, told, strict=True) if price is not None}


def forget_prices(*models: str) -> None:
    """Go back to the list prices of these models, by the names they were set with; of all without names."""
    for model in models or list(_own):
        _own.pop(model, None)


def load() -> None:
    """Import the prices, so that the first one asked for does not wait."""
    from genai_prices import Usage, calc_price

    with suppress(LookupError):
        calc_price(Usage(input_tokens=1), "gpt-4o-mini", provider_id="openai")


def cost(run: Run) -> Cost | None:
    """What a run cost: the sum of its steps where the server tells their tokens, else by its usage."""
    prices = [of_step(run, step) for step in run.steps]
    # prices may depend on the size of each request, so that the steps are better than their sum
    if not run.steps or any(_reported(step.server) is None for step in run.steps):
        prices = [of_usage(run, run.usage)]
    known = [price for price in prices if price is not None]
    return Cost(sum(known), price_date(run)) if known and len(known) == len(prices) else None


def price_date(run: Run) -> str:
    """The day whose prices count."""
    return run.started.date().isoformat()


def of_step(run: Run, step: Step) -> float | None:
    """What a step cost in USD, where the server tells its tokens."""
    row = step.server
    if not row:
        return None
    seller = _Seller(row.get("model") or run.model, row.get("provider_name") or run.provider, row.get("model_endpoint"))
    return _usd(run, seller, _reported(row))


def of_usage(run: Run, usage: Usage | None) -> float | None:
    """What a report's tokens cost in USD."""
    if usage is None or run.model is None:
        return None
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    return _usd(run, _Seller(run.model, run.provider), _tokens(*counts))


def provider_of(llm_config: Mapping[str, Any] | None, model: str | None) -> str | None:
    """Who is paid for an agent's model: the first half of its handle, as in `openai/gpt-4o-mini`."""
    handle = (llm_config or {}).get("handle") or model
    name = handle.partition("/")[0] if isinstance(handle, str) and "/" in handle else None
    return name or (llm_config or {}).get("provider_name")


def _reported(row: Mapping[str, Any]) -> dict[str, int] | None:
    """A step row's tokens."""
    return _tokens(*map(row.get, ("prompt_tokens", "completion_tokens", "cached_input_tokens", "cache_write_tokens")))


def _tokens(read: Any, said: Any, cached: Any, written: Any) -> dict[str, int] | None:
    """Counts by their names in the price list; None unless both sides were reported."""
    counts = {"input_tokens": read, "output_tokens": said, "cache_read_tokens": cached, "cache_write_tokens": written}
    known = {name: count for name, count in counts.items() if type(count) is int and count >= 0}
    return known if "input_tokens" in known and "output_tokens" in known else None


def _usd(run: Run, seller: _Seller, tokens: dict[str, int] | None) -> float | None:
    model, provider, endpoint = seller
    if tokens is None or not isinstance(model, str) or len(model) > _LONGEST_NAME:
        return None
    if (own := _own.get(f"{provider}/{model}", _own.get(model))) is not None:
        from genai_prices.types import ModelPrice

        with suppress(ValueError):  # counts that contradict each other
            return float(ModelPrice(**own).calc_price(_usage(tokens))["total_price"])
        return None
    if isinstance(provider, str) and provider.lower().startswith(_SELF_HOSTED):
        return None
    from genai_prices import calc_price

    counted, at = _usage(tokens), run.started
    with suppress(LookupError, ValueError):  # no price; counts that contradict each other
        if isinstance(provider, str):
            return _amount(calc_price(counted, model, provider_id=provider, genai_request_timestamp=at))
    with suppress(LookupError, ValueError):
        if isinstance(endpoint, str):  # a provider that somebody has named in their own way
            return _amount(calc_price(counted, model, provider_api_url=endpoint, genai_request_timestamp=at))
        if provider is None:  # nobody says who sells it: the name of the model has to
            return _amount(calc_price(counted, model, genai_request_timestamp=at))
    return None


def _usage(tokens: dict[str, int]) -> Any:
    from genai_prices import Usage

    return Usage(**tokens)


def _amount(priced: PriceCalculation) -> float | None:
    """In USD; what costs nothing has no price in the list."""
    return float(priced.total_price) or None
