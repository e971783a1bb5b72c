"""Our own store: deployments, monitors, reports, alerts, pipeline runs and the audit log.

One schema on any database that SQLAlchemy reaches: SQLite in ``.mlops/`` by default, Postgres for
a team. Each dataclass of :mod:`mlops_jupyter.models` that is kept has one table: its key, when it
was written, and its JSON. Only this module imports SQLAlchemy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .errors import Conflict, NotFound, Unavailable
from .models import (
    Alert,
    AuditEntry,
    Deployment,
    Monitor,
    PipelineRun,
    Report,
    from_dict,
    now,
    to_dict,
)
from .workspace import Workspace

T = TypeVar("T", Alert, Deployment, Monitor, PipelineRun, Report)

_metadata = MetaData()
_KEYS: dict[type, str] = {
    Alert: "id",
    Deployment: "name",
    Monitor: "name",
    PipelineRun: "id",
    Report: "created",
}
_NAMES: dict[type, tuple[str, str]] = {
    Alert: ("alert", "alerts list"),
    Deployment: ("deployment", "deployments list"),
    Monitor: ("monitor", "monitor list"),
    PipelineRun: ("pipeline run", "runs list --kind pipeline"),
    Report: ("report", "monitor report NAME"),
}


def _table(cls: type) -> Table:
    name = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).strip("_") + "s"
    return Table(
        name,
        _metadata,
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("key", String(255), unique=True, nullable=False),
        Column("written", String(32), nullable=False),
        Column("body", JSON, nullable=False),
    )


_TABLES = {cls: _table(cls) for cls in _KEYS}
_AUDIT = Table(
    "audit",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", JSON, nullable=False),
)


class Store:
    """The workspace's own store; safe with several processes at once.

    Parameters
    ----------
    workspace:
        Where the SQLite file is, and whose ``database_url`` may point elsewhere.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @cached_property
    def _engine(self) -> Engine:
        url = self._workspace.config.database_url
        local = not url
        engine = create_engine(
            url or f"sqlite:///{self._workspace.path('mlops.db')}",
            connect_args={"timeout": 30} if local else {},
        )
        if engine.dialect.name == "sqlite":

            @event.listens_for(engine, "connect")
            def _pragmas(connection: Any, _: object) -> None:
                connection.isolation_level = None
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")

            @event.listens_for(engine, "begin")
            def _begin(connection: Connection) -> None:
                writes = connection.get_execution_options().get("writes", False)
                connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        with self._border(), self._workspace.lock("store"):
            _metadata.create_all(engine)
        return engine

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            detail = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise Unavailable(
                f"The workspace's database is not usable: {detail}.",
                hint="Check the folder's permissions, the disk, or database_url.",
            ) from error

    @contextlib.contextmanager
    def _begin(self, *, writes: bool = False) -> Iterator[Connection]:
        engine = self._engine.execution_options(writes=writes)
        with self._border(), engine.begin() as connection:
            yield connection

    def put(self, item: T, *, new: bool = False) -> T:
        """Insert or replace ``item`` by its key.

        Raises
        ------
        Conflict
            If ``new`` and there is one with that key already.
        """
        table, key = _TABLES[type(item)], getattr(item, _KEYS[type(item)])
        values = {"written": now(), "body": to_dict(item)}
        with self._begin(writes=True) as connection:
            done = 0
            if not new:
                done = connection.execute(
                    update(table).where(table.c.key == key).values(values)
                ).rowcount
            if not done:
                try:
                    connection.execute(insert(table).values(key=key, **values))
                except IntegrityError as error:
                    raise Conflict(
                        f"There is already a {_NAMES[type(item)][0]} {key!r}.",
                        hint="Choose another name.",
                    ) from error
        return item

    def get(self, cls: type[T], key: str) -> T:
        """The item with that key.

        Raises
        ------
        NotFound
            If there is none.
        """
        table = _TABLES[cls]
        with self._begin() as connection:
            body = connection.execute(select(table.c.body).where(table.c.key == key)).scalar()
        if body is None:
            raise _unknown(cls, key)
        return from_dict(cls, body)

    def all(self, cls: type[T], limit: int | None = None) -> list[T]:
        """All items, newest first."""
        table = _TABLES[cls]
        query = select(table.c.body).order_by(table.c.number.desc())
        with self._begin() as connection:
            rows = connection.execute(query.limit(limit) if limit else query).scalars().all()
        return [from_dict(cls, body) for body in rows]

    def update(self, cls: type[T], key: str, **changes: Any) -> T:
        """Change fields of one item, in one transaction.

        Raises
        ------
        NotFound
            If there is none.
        """
        table = _TABLES[cls]
        with self._begin(writes=True) as connection:
            body = connection.execute(
                select(table.c.body).where(table.c.key == key).with_for_update()
            ).scalar()
            if body is None:
                raise _unknown(cls, key)
            item = replace(from_dict(cls, body), **changes)
            connection.execute(
                update(table).where(table.c.key == key).values(written=now(), body=to_dict(item))
            )
        return item

    def delete(self, cls: type[T], key: str) -> None:
        """Remove one item; nothing happens if it is not there."""
        table = _TABLES[cls]
        with self._begin(writes=True) as connection:
            connection.execute(delete(table).where(table.c.key == key))

    # --- audit log: hash-chained, append-only -------------------------------------------------

    def append_audit(
        self, actor: str, action: str, subject: str, detail: dict[str, Any]
    ) -> AuditEntry:
        """Append one entry whose digest (SHA-256) covers it and the entry before it."""
        with self._begin(writes=True) as connection:
            last = connection.execute(
                select(_AUDIT.c.body).order_by(_AUDIT.c.number.desc()).limit(1)
            ).scalar()
            previous = from_dict(AuditEntry, last) if last else None
            entry = AuditEntry(
                number=previous.number + 1 if previous else 1,
                time=now(),
                actor=actor,
                action=action,
                subject=subject,
                detail=to_dict(detail),
                previous=previous.digest if previous else "",
                digest="",
            )
            entry = replace(entry, digest=audit_digest(entry))
            connection.execute(insert(_AUDIT).values(number=entry.number, body=to_dict(entry)))
        return entry

    def audit(self) -> list[AuditEntry]:
        """The whole audit log, oldest first."""
        with self._begin() as connection:
            rows = (
                connection.execute(select(_AUDIT.c.body).order_by(_AUDIT.c.number)).scalars().all()
            )
        return [from_dict(AuditEntry, body) for body in rows]


def audit_digest(entry: AuditEntry) -> str:
    """SHA-256 (hex) over the entry's canonical JSON without its own digest."""
    body = to_dict(replace(entry, digest=""))
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _unknown(cls: type, key: str) -> NotFound:
    what, verb = _NAMES[cls]
    return NotFound(f"There is no {what} {key!r}.", hint=f"See: mlops {verb}")
