"""The SQL that finds rows which differ between `main` (at close) and `base` (at open)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.worlds.sqlite import Columns, quoted

_TERMS = 100
MAX_COLUMNS = 400
"""Columns up to which a table can be compared (SQLite allows 2,000 in a result, a changed row shows each twice)."""


class Query(msgspec.Struct, frozen=True):
    """One query over one table."""

    kind: str
    """`added`, `removed` or `changed`."""
    sql: str
    """Yields the columns of a row; for `changed` those at close, then those at open."""
    after: tuple[str, ...]
    """Names of the first columns."""
    before: tuple[str, ...] = ()
    """Names of the columns that follow, for `changed`."""
    keys: tuple[str, ...] = ()
    """Names of the key columns, for `changed`."""


def whole(kind: str, schema: str, table: str, columns: Sequence[str]) -> Query:
    """Return all rows of a table that the other side lacks."""
    sql = f"SELECT {_list(columns)} FROM {schema}.{quoted(table)} ORDER BY {_numbers(columns)}"  # noqa: S608 - every name is quoted
    return Query(kind, sql, tuple(columns))


def keyed(now: tuple[str, Columns], base: tuple[str, Columns], volatile: frozenset[str]) -> list[Query]:
    """Return rows that differ in a table with a primary key."""
    after, before = _kept(now[1][0], volatile), _kept(base[1][0], volatile)
    keys = base[1][1]
    left, right = f"main.{quoted(now[0])} AS n", f"base.{quoted(base[0])} AS b"
    match = " AND ".join(f"b.{quoted(key)} IS n.{quoted(key)}" for key in keys)
    differs = "1" if after != before else _differs(after)
    order_now, order_base = _list(keys, "n."), _list(keys, "b.")
    added = f"SELECT {_list(after, 'n.')} FROM {left} WHERE NOT EXISTS (SELECT 1 FROM {right} WHERE {match}) ORDER BY {order_now}"  # noqa: S608 - every name is quoted
    gone = f"SELECT {_list(before, 'b.')} FROM {right} WHERE NOT EXISTS (SELECT 1 FROM {left} WHERE {match}) ORDER BY {order_base}"  # noqa: S608 - every name is quoted
    changed = (
        f"SELECT {_list(after, 'n.')}, {_list(before, 'b.')} FROM {right} CROSS JOIN {left} "  # noqa: S608 - every name is quoted
        f"WHERE {match} AND ({differs}) ORDER BY {order_base}"
    )
    return [
        Query("added", added, after),
        Query("removed", gone, before),
        Query("changed", changed, after, before, keys),
    ]


def unkeyed(now: tuple[str, Columns], base: tuple[str, Columns], volatile: frozenset[str]) -> list[Query]:
    """Return rows that differ in a table without a usable key: as many copies as one side has more than the other."""
    after, before = _kept(now[1][0], volatile), _kept(base[1][0], volatile)
    if after != before:
        return [whole("added", "main", now[0], after), whole("removed", "base", base[0], before)]
    here, there = _numbered("main", now[0], after), _numbered("base", base[0], before)
    names = _list(after)
    return [
        Query("added", f"SELECT {names} FROM ({here} EXCEPT {there})", after),  # noqa: S608 - every name is quoted
        Query("removed", f"SELECT {names} FROM ({there} EXCEPT {here})", before),  # noqa: S608 - every name is quoted
    ]


def null_key(schema: str, table: str, keys: Sequence[str]) -> str:
    """Return a query for one row whose key holds NULL (SQLite allows it, and such rows cannot be matched)."""
    condition = " OR ".join(f"{quoted(key)} IS NULL" for key in keys)
    return f"SELECT 1 FROM {schema}.{quoted(table)} WHERE {condition} LIMIT 1"  # noqa: S608 - every name is quoted


def _numbered(schema: str, table: str, columns: Sequence[str]) -> str:
    exact = [f"{quoted(column)} COLLATE BINARY" for column in columns]
    named = ", ".join(f"{term} AS {quoted(column)}" for term, column in zip(exact, columns, strict=True))
    return f"SELECT {named}, row_number() OVER (PARTITION BY {', '.join(exact)}) FROM {schema}.{quoted(table)}"  # noqa: S608 - every name is quoted


def _differs(columns: Sequence[str]) -> str:
    """Compare column by column, in groups: SQLite bounds the depth of an expression."""
    terms = [f"n.{quoted(column)} IS NOT b.{quoted(column)} COLLATE BINARY" for column in columns]
    groups = (terms[start : start + _TERMS] for start in range(0, len(terms), _TERMS))
    return " OR ".join(f"({' OR '.join(group)})" for group in groups)


def _kept(columns: Sequence[str], volatile: frozenset[str]) -> tuple[str, ...]:
    return tuple(column for column in columns if column.lower() not in volatile)


def _list(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(column) for column in columns)


def _numbers(columns: Sequence[str]) -> str:
    return ", ".join(str(number + 1) for number in range(len(columns)))
