"""Agents, runs, steps and messages in SQLite. Used from the server's own thread only; each write is committed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from letta_nb.errors import ConfigurationError

Row = dict[str, Any]
Order = Literal["asc", "desc"]
Wanted = str | int | Sequence[str] | None
"""What a column must be: a value, one of several, or anything."""

_TABLES = ("agents", "conversations", "runs", "steps", "messages", "approvals")
# of what SQLite can count
_MOST = 2**63 - 1
# what lists filter by is a column; all else is in `data`, so that a new field needs no migration
_SCHEMA = """
CREATE TABLE IF NOT EXISTS agents (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conversations (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE, status TEXT NOT NULL, stop_reason TEXT,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
    run_id TEXT REFERENCES runs(id) ON DELETE CASCADE, step_id TEXT, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS approvals (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE, conversation_id TEXT NOT NULL DEFAULT '',
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS frames (run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, seq INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (run_id, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS otids (otid TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS runs_of_agent ON runs(agent_id);
CREATE INDEX IF NOT EXISTS steps_of_run ON steps(run_id);
CREATE INDEX IF NOT EXISTS messages_of_agent ON messages(agent_id);
CREATE INDEX IF NOT EXISTS messages_of_run ON messages(run_id);
CREATE INDEX IF NOT EXISTS messages_of_step ON messages(step_id);
"""
# what files of earlier versions lack; no conversation is the agent's own thread
_ADDED = (
    ("runs", "conversation_id", "TEXT NOT NULL DEFAULT ''"),
    ("runs", "background", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "conversation_id", "TEXT NOT NULL DEFAULT ''"),
)


class Thread(NamedTuple):
    """Where messages belong: a conversation of an agent, or the agent's own ("")."""

    agent_id: str
    conversation_id: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """The columns that say so."""
        return self._asdict()


class UnknownCursor(LookupError):
    """A `before` or `after` that is no row's id."""


class Store:
    """Tables of rows with ids, in the order they were made; and the frames of background streams."""

    def __init__(self, path: str | Path | None = None) -> None:
        try:
            self._open(path)
        except sqlite3.Error as problem:
            raise ConfigurationError(f"{path} cannot be the database: {problem}") from problem

    def _open(self, path: str | Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        if path:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        for table, column, kind in _ADDED:
            if column not in self._columns(table):
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def close(self) -> None:
        """Close the database; one in memory is gone."""
        self._db.close()

    def add(self, table: str, row: Row) -> None:
        """Insert a row: keys that are columns become columns."""
        columns = self._columns(table)
        data = {key: value for key, value in row.items() if key not in columns}
        values = {key: value for key, value in row.items() if key in columns} | {"data": _dump(data)}
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))

    def get(self, table: str, row_id: str) -> Row | None:
        """The row of that id."""
        found = self._db.execute(f"SELECT * FROM {table} WHERE id = ?", [row_id]).fetchone()
        return _row(found) if found else None

    def update(self, table: str, row_id: str, **changes: Any) -> None:
        """Change some fields of a row."""
        row = self.get(table, row_id)
        if row is None:
            return
        columns = self._columns(table)
        row |= changes
        values = {key: row[key] for key in changes if key in columns}
        values["data"] = _dump({key: value for key, value in row.items() if key not in columns})
        sets = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"UPDATE {table} SET {sets} WHERE id = ?", [*values.values(), row_id])

    def delete(self, table: str, row_id: str) -> None:
        """Delete a row and what belongs to it."""
        self._db.execute(f"DELETE FROM {table} WHERE id = ?", [row_id])

    def page(
        self,
        table: str,
        *,
        order: Order = "asc",
        before: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        **equal: Wanted,
    ) -> list[Row]:
        """Matching rows in order, without those of the cursors. With `before` alone: the rows right before it."""
        where, values = _conditions(equal)
        for cursor, is_after in ((after, True), (before, False)):
            if cursor is not None:
                where.append(f"seq {'>' if is_after is (order == 'asc') else '<'} ?")
                values.append(self._position(table, cursor))
        backwards = before is not None and after is None
        ascending = (order == "asc") is not backwards
        sql = f"SELECT * FROM {table}"
        if where:
            sql += " WHERE " + " AND ".join(where)
        sql += f" ORDER BY seq {'ASC' if ascending else 'DESC'} LIMIT ?"
        rows = [_row(row) for row in self._db.execute(sql, [*values, -1 if limit is None else min(limit, _MOST)])]
        return rows[::-1] if backwards else rows

    def history(self, thread: Thread, *, last: str | None = None) -> list[Row]:
        """The messages of a thread's ended runs, run by run: turns that overlapped in time must not be interleaved.

        The run `last` comes after all others, whenever it was.
        """
        sql = (
            "SELECT messages.* FROM messages JOIN runs ON messages.run_id = runs.id "
            "WHERE messages.agent_id = ? AND messages.conversation_id = ? AND runs.status != 'running' "
            "ORDER BY runs.id IS ?, runs.seq, messages.seq"
        )
        return [_row(row) for row in self._db.execute(sql, [*thread, last])]

    def add_frame(self, run_id: str, seq: int, data: bytes) -> None:
        """Keep a frame of a background run's stream."""
        self._db.execute("INSERT INTO frames VALUES (?, ?, ?)", [run_id, seq, data])

    def frames(self, run_id: str, after: int, limit: int) -> list[bytes]:
        """Frames of a background run, from the one after `after` on."""
        sql = "SELECT data FROM frames WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [row["data"] for row in self._db.execute(sql, [run_id, after, limit])]

    def frame_count(self, run_id: str) -> int:
        """How many frames of a run there are."""
        return int(self._db.execute("SELECT COUNT(*) FROM frames WHERE run_id = ?", [run_id]).fetchone()[0])

    def drop_frames(self, before: str) -> None:
        """Forget the streams of runs created before that time, and how to find them."""
        for table in ("frames", "otids"):
            older = "SELECT id FROM runs WHERE background = 1 AND json_extract(data, '$.created_at') < ?"
            self._db.execute(f"DELETE FROM {table} WHERE run_id IN ({older})", [before])

    def name_run(self, otid: str, run_id: str) -> None:
        """Let a run be found by an otid."""
        self._db.execute("INSERT OR REPLACE INTO otids VALUES (?, ?)", [otid, run_id])

    def named_run(self, otid: str) -> str | None:
        """The run that an otid names."""
        found = self._db.execute("SELECT run_id FROM otids WHERE otid = ?", [otid]).fetchone()
        return found["run_id"] if found else None

    def _position(self, table: str, row_id: str) -> int:
        found = self._db.execute(f"SELECT seq FROM {table} WHERE id = ?", [row_id]).fetchone()
        if found is None:
            raise UnknownCursor(row_id)
        return int(found[0])

    def _columns(self, table: str) -> list[str]:
        assert table in _TABLES
        return [row["name"] for row in self._db.execute(f"PRAGMA table_info({table})") if row["name"] != "data"]


def _conditions(equal: dict[str, Wanted]) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, wanted in equal.items():
        if wanted is None:
            continue
        options = [wanted] if isinstance(wanted, str | int) else list(wanted)
        where.append(f"{column} IN ({', '.join('?' * len(options))})")
        values += options
    return where, values


def _dump(data: Row) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _row(row: sqlite3.Row) -> Row:
    fields = dict(row)
    return fields | json.loads(fields.pop("data"))
