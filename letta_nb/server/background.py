"""Background runs: their streams stay in the store for a while, and are found again by run or by otid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from letta_nb.server import wire
from letta_nb.server.feed import StoredFeed
from letta_nb.server.runner import tell_cut
from letta_nb.server.store import Row, Store

NO_REDIS = (
    "Background streaming requires Redis to be running. Please ensure Redis is properly configured. "
    "LETTA_REDIS_HOST: None, LETTA_REDIS_PORT: 6379"
)
_FOREGROUND = "INVALID_ARGUMENT: Run was not created in background mode, so it cannot be retrieved."


class CannotResume(Exception):
    """A stream that cannot be read again; `status` is the answer's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Background:
    """The streams of background runs, live and over. `ttl`: for how many seconds after a run's start."""

    def __init__(self, store: Store, *, enabled: bool, ttl: float) -> None:
        self.enabled = enabled
        self._store = store
        self._ttl = timedelta(seconds=ttl)
        self._live: dict[str, StoredFeed] = {}
        self._drop_expired()

    def open(self, run_id: str, otids: Sequence[str | None]) -> StoredFeed:
        """The stream of a new run, to be found by the otids of its messages, one or all."""
        self._drop_expired()
        if token := _token(otids):
            self._store.name_run(token, run_id)
        for otid in otids:
            if otid:
                self._store.name_run(otid, run_id)
        feed = self._live[run_id] = StoredFeed(self._store, run_id)
        return feed

    def end(self, run_id: str) -> None:
        """The run is over; what it said stays readable."""
        self._live.pop(run_id, None)

    def same_request(self, otids: Sequence[str | None]) -> str | None:
        """The run that a request with just these otids started, while it is kept."""
        self._drop_expired()
        token = _token(otids)
        return self._store.named_run(token) if token else None

    def named(self, otid: str) -> str | None:
        """The run that a message with this otid started."""
        return self._store.named_run(otid)

    def resume(self, run: Row) -> StoredFeed:
        """The stream of a run, or CannotResume in Letta's words."""
        if not run["background"]:
            raise CannotResume(400, _FOREGROUND)
        if run["created_at"] < self._oldest():
            age = "3 hours" if self._ttl == timedelta(hours=3) else f"{self._ttl.total_seconds():g} seconds"
            raise CannotResume(410, f"EXPIRED: Run was created more than {age} ago, and is now expired.")
        if not self.enabled:
            raise CannotResume(503, NO_REDIS)
        return self._live.get(run["id"]) or self._ended(run["id"])

    def bury(self, run_id: str) -> None:
        """Give the stream of a run whose server died an end."""
        tell_cut(StoredFeed(self._store, run_id), run_id)

    def _ended(self, run_id: str) -> StoredFeed:
        feed = StoredFeed(self._store, run_id)
        feed.close()
        return feed

    def _oldest(self) -> str:
        return wire.utc_text(wire.now() - self._ttl)

    def _drop_expired(self) -> None:
        self._store.drop_frames(self._oldest())


def _token(otids: Sequence[str | None]) -> str | None:
    """A name for a request, from the otids that its client gave to all of its messages."""
    if not otids or not all(otids):
        return None
    return sha256(json.dumps(list(otids)).encode()).hexdigest()
