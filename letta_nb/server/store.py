"""Agents, runs, steps and messages in SQLite. Used from the server's own thread only; each write is committed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

Row = dict[str, Any]
Order = Literal["asc", "desc"]

_TABLES = ("agents", "runs", "steps", "messages")
# what lists filter by is a column; all else is in `data`, so that a new field needs no migration
_SCHEMA = """
CREATE TABLE IF NOT EXISTS agents (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE, status TEXT NOT NULL, stop_reason TEXT,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    run_id TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
    run_id TEXT REFERENCES runs(id) ON DELETE CASCADE, step_id TEXT, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_agent ON runs(agent_id);
CREATE INDEX IF NOT EXISTS steps_of_run ON steps(run_id);
CREATE INDEX IF NOT EXISTS messages_of_agent ON messages(agent_id);
CREATE INDEX IF NOT EXISTS messages_of_run ON messages(run_id);
CREATE INDEX IF NOT EXISTS messages_of_step ON messages(step_id);
"""


class UnknownCursor(LookupError):
    """A `before` or `after` that is no row's id."""


class Store:
    """Four tables of rows with ids, in the order they were made."""

    def __init__(self, path: str | Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        if path:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

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
        **equal: str | Sequence[str] | None,
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
        rows = [_row(row) for row in self._db.execute(sql, [*values, -1 if limit is None else limit])]
        return rows[::-1] if backwards else rows

    def history(self, agent_id: str) -> list[Row]:
        """The messages of an agent's ended runs, run by run: turns that overlapped in time must not be interleaved."""
        sql = (
            "SELECT messages.* FROM messages JOIN runs ON messages.run_id = runs.id "
            "WHERE messages.agent_id = ? AND runs.status != 'running' ORDER BY runs.seq, messages.seq"
        )
        return [_row(row) for row in self._db.execute(sql, [agent_id])]

    def _position(self, table: str, row_id: str) -> int:
        found = self._db.execute(f"SELECT seq FROM {table} WHERE id = ?", [row_id]).fetchone()
        if found is None:
            raise UnknownCursor(row_id)
        return int(found[0])

    def _columns(self, table: str) -> list[str]:
        assert table in _TABLES
        return [row["name"] for row in self._db.execute(f"PRAGMA table_info({table})") if row["name"] != "data"]


def _conditions(equal: dict[str, str | Sequence[str] | None]) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, wanted in equal.items():
        if wanted is None:
            continue
        options = [wanted] if isinstance(wanted, str) else list(wanted)
        where.append(f"{column} IN ({', '.join('?' * len(options))})")
        values += options
    return where, values


def _dump(data: Row) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _row(row: sqlite3.Row) -> Row:
    fields = dict(row)
    return fields | json.loads(fields.pop("data"))
