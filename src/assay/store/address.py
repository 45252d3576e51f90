"""Where a store is: a path or URL, and the name that people are shown for it."""

from __future__ import annotations

import importlib
from os import PathLike, fspath
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from assay.core.errors import ConfigError, MissingExtraError, Problem

_POSTGRESQL = {"postgresql", "postgres", "postgresql+psycopg"}
_HINT = "use a path, sqlite:///PATH or postgresql://USER@HOST/NAME"


class Address:
    """Where a store is."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        """For SQLAlchemy."""
        self.is_sqlite = url.get_backend_name() == "sqlite"
        """Whether it is a file of this machine."""
        self.path = Path(url.database or "") if self.is_sqlite else None
        """The file; None for a server."""
        self.shown = str(self.path) if self.path is not None else _without_secrets(url)
        """For messages: no password is in it."""


def locate(url_or_path: str | PathLike[str]) -> Address:
    """Read a path or URL. Raises `ConfigError` where it names no store, `MissingExtraError` without the driver."""
    text = fspath(url_or_path)
    if "://" not in text:
        return _file(text)
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        # The error would quote the URL, password included.
        raise ConfigError([Problem(message="the store's URL cannot be read", hint=_HINT)]) from None
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        return _file(url.database or "")
    if url.drivername not in _POSTGRESQL:
        raise ConfigError([Problem(message=f"no store is kept in {url.drivername!r}", hint=_HINT)])
    _need_driver()
    return Address(url.set(drivername="postgresql+psycopg"))


def _file(path: str) -> Address:
    if path in {"", ":memory:"}:
        raise ConfigError(
            [Problem(message="a store needs a file: in memory nothing would outlive the run", hint=_HINT)]
        )
    return Address(sa.URL.create("sqlite", database=str(Path(path).expanduser().absolute())))


def _need_driver() -> None:
    try:
        importlib.import_module("psycopg")
    except ImportError:
        raise MissingExtraError("a store on PostgreSQL", "postgres") from None


def _without_secrets(url: sa.URL) -> str:
    """Render the URL with stars for the password, and of its query, which may hold one too, only where the server is."""
    query = {name: url.query[name] for name in ("host", "port") if name in url.query}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=True)
