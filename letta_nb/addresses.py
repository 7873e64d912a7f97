"""Where to connect, and with which headers: addresses and secrets, checked before anything could quote them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import httpx

from letta_nb import errors
from letta_nb._version import __version__

LETTA_CLOUD = "https://api.letta.com"
USER_AGENT = f"letta-nb/{__version__} python-httpx/{httpx.__version__}"


def resolve(base_url: str | None, api_key: str | None, password: str | None) -> tuple[httpx.URL, dict[str, str]]:
    """Where to connect and with which headers: arguments, else LETTA_BASE_URL, LETTA_API_KEY, LETTA_SERVER_PASSWORD."""
    from_environment = os.environ.get("LETTA_BASE_URL") or None
    address = base_url if base_url is not None else from_environment
    configured = address is not None and address == from_environment
    secrets = {"api_key": api_key, "password": password}
    if wrong := [name for name, secret in secrets.items() if not isinstance(secret, str | None)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InputError(f"{wrong[0]} takes a text, not {type(secrets[wrong[0]]).__name__}.")
    url = _url(address) if address is not None else httpx.URL(LETTA_CLOUD)
    # secrets of the environment go where the environment points, or to Letta Cloud; never to an address named in code
    if api_key is None and (configured or url.host.endswith(".letta.com")):
        api_key = os.environ.get("LETTA_API_KEY") or None
    if password is None and configured:
        password = os.environ.get("LETTA_SERVER_PASSWORD") or None
    if api_key is not None and not api_key.strip():
        raise errors.ConfigurationError("The API key is empty. Pass api_key=..., or set LETTA_API_KEY and pass none.")
    if address is None and api_key is None:
        raise errors.ConfigurationError(
            "No server is configured. Pass base_url=..., or set LETTA_BASE_URL (a Letta server) or LETTA_API_KEY "
            "(Letta Cloud); letta_nb.serve() starts an embedded one."
        )
    if url.userinfo:
        raise errors.ConfigurationError(
            f"{shown(url)} was given with a user or password in it. Pass api_key=... or password=... instead, so that "
            "it can be kept out of what is shown and saved."
        )
    headers = {"User-Agent": USER_AGENT}
    if api_key:
        headers["Authorization"] = f"Bearer {_header_value(api_key, 'API key')}"
    if password:
        headers["X-BARE-PASSWORD"] = f"password {_header_value(password, 'password')}"
    return url, headers


def _header_value(secret: str, what: str) -> str:
    secret = secret.strip()
    if not (secret.isascii() and secret.isprintable()):
        # without this check httpx would quote the secret in its error
        raise errors.ConfigurationError(f"The {what} holds characters that no HTTP header can carry.")
    return secret


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of the caller's own, which may be secrets too. Raises InputError for what are none."""
    # what a caller without a type checker may pass
    texts = isinstance(headers, Mapping) and all(isinstance(its, str) for item in headers.items() for its in item)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not texts:
        raise errors.InputError('headers takes texts by name, such as headers={"X-Team": "search"}.')
    return {name: _header_value(value, f"header {name}") for name, value in headers.items()}


def _url(base_url: str) -> httpx.URL:
    if not isinstance(base_url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InputError(
            f'base_url takes an address as text, such as "http://localhost:8283", not {type(base_url).__name__}.'
        )
    try:
        url = httpx.URL(base_url.rstrip("/").removesuffix("/v1"))
    except (httpx.InvalidURL, TypeError) as problem:
        raise errors.ConfigurationError(f"{_safe(base_url)!r} is not an address: {problem}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise errors.ConfigurationError(
            f'{_safe(base_url)!r} is not an address. It should look like "http://localhost:8283".'
        )
    return url


def _safe(base_url: str) -> str:
    scheme, at, rest = str(base_url).rpartition("@")
    return f"{scheme.partition('//')[0]}//…@{rest}" if at else str(base_url)


def is_loopback(url: httpx.URL) -> bool:
    """Whether the address is this machine's own."""
    return url.host in ("localhost", "::1") or url.host.startswith("127.")


def shown(url: httpx.URL) -> str:
    """The address as it may be shown: without any user or password in it."""
    return str(url.copy_with(username=None, password=None)).rstrip("/")
