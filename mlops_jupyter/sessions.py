"""What a journal tells, put together: a session with its cells and runs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from . import models
from .journal import read


@dataclass
class SessionRun:
    """A run as the journal has it. ``status`` is RUNNING until the journal closes it."""

    number: int
    name: str
    started: str
    cell: int | None
    source: str
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float]] = field(default_factory=list)
    data: list[models.Dataset] = field(default_factory=list)
    model: str | None = None
    seal: str | None = None
    model_error: str = ""
    status: models.RunStatus = "RUNNING"
    ended: str | None = None


@dataclass
class Session:
    """All that a journal tells."""

    notebook: str | None = None
    folder: str | None = None
    parent: str | None = None
    first: int = 1
    closed: bool = False
    last: str = ""
    damaged: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[int, SessionRun] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> tuple[Session, int]:
        """The session in a journal, and how many bytes of it were whole.

        Raises
        ------
        Conflict
            If a newer version of this package wrote it.
        """
        session = cls()
        records, size = read(file)
        for record in records:
            session._add(record)
        return session, size

    def _add(self, record: dict[str, Any]) -> None:
        kind = record.get("t")
        moment = record.get("time") or record.get("started")
        self.last = moment if isinstance(moment, str) else self.last
        if kind == "session":
            self.folder, self.parent = record.get("folder"), record.get("parent")
            self.first = int(record.get("number", 1))
        elif kind == "notebook":
            self.notebook = record.get("path")
        elif kind == "environment":
            self.environment = record["values"]
        elif kind == "cell":
            self.cells.append(record)
        elif kind == "run":
            self.runs[record["run"]] = SessionRun(
                record["run"],
                record["name"],
                record["started"],
                record.get("cell"),
                record.get("source", ""),
            )
        elif kind == "close":
            self.closed = True
        elif kind == "damaged":
            self.damaged += 1
        elif (run := self.runs.get(record.get("run", -1))) is not None:
            _add_to_run(run, record)

    def kill(self) -> None:
        """The kernel is gone: runs still open are closed as KILLED, at the last sign of life."""
        self.closed = True
        for run in self.runs.values():
            if run.status == "RUNNING":
                run.status, run.ended = "KILLED", max(self.last, run.started)

    def has_cell(self, run: SessionRun) -> bool:
        """Whether the cell that opened ``run`` has ended (or there was none)."""
        return run.cell is None or any(cell["cell"] == run.cell for cell in self.cells)

    def cells_of(self, run: SessionRun) -> list[dict[str, Any]]:
        """The session's cells up to the one that opened ``run``, as :class:`models.Cell` has them
        (and ``id`` and ``peak_mb``). A cell in which the kernel died is the last one."""
        names = (
            "number",
            "source",
            "status",
            "started",
            "seconds",
            "output",
            "error",
            "id",
            "peak_mb",
        )
        upto = [cell for cell in self.cells if run.cell is None or cell["cell"] <= run.cell]
        cells: list[dict[str, Any]] = [{name: cell.get(name) for name in names} for cell in upto]
        if not self.has_cell(run):
            number = int(upto[-1]["number"]) + 1 if cells else self.first
            lost = models.Cell(
                number, run.source, "error", run.started, 0.0, "", "the kernel ended in this cell"
            )
            cells.append({**models.to_dict(lost), "id": None, "peak_mb": None})
        return cells

    def reproducibility(self, run: SessionRun, root: Path) -> list[str]:
        """Reasons why running the notebook top to bottom may not give this run again.

        Parameters
        ----------
        run:
            One of this session's.
        root:
            The workspace's folder: the notebook file there tells the order of the cells, whose
            places are counted from 1.
        """
        cells, found = self.cells_of(run), []
        if self.first > 1:
            found.append(f"cells ran before capture was on: {self.first - 1}")
        ids = [cell["id"] for cell in cells if cell["id"]]
        places = _places(root / self.notebook) if self.notebook else {}
        order = [places[cell_id] for cell_id in ids if cell_id in places]
        found += [
            f"cells ran out of order: {after} after {before}"
            for before, after in pairwise(order)
            if after < before
        ][:10]
        again = sorted(
            places[key] for key, count in Counter(ids).items() if count > 1 and key in places
        )
        if again:
            found.append(f"cells ran more than once: {', '.join(map(str, again))}")
        failed = [str(cell["number"]) for cell in cells[:-1] if cell["status"] == "error"]
        if failed:
            found.append(f"cells failed before: In [{'], ['.join(failed)}]")
        if self.damaged:
            found.append(f"records of the journal are damaged: {self.damaged}")
        return found


def _add_to_run(run: SessionRun, record: dict[str, Any]) -> None:
    kind = record["t"]
    if kind == "parameters":
        for name, value in record["values"].items():
            run.parameters.setdefault(name, value)  # MLflow's parameters never change
    elif kind == "metric":
        run.metrics.append((record["name"], float(record["value"])))
    elif kind == "data":
        run.data += [models.from_dict(models.Dataset, item) for item in record["items"]]
    elif kind == "model":
        run.model, run.model_error = record.get("file"), record.get("error", "")
        run.seal = record.get("seal")
    elif kind == "end":
        run.status, run.ended = record["status"], record["time"]


def _places(file: Path) -> dict[str, int]:
    """Cell id -> place (from 1) in the notebook file; empty if it cannot be known."""
    try:
        cells = json.loads(file.read_bytes()).get("cells", [])
        return {cell["id"]: place for place, cell in enumerate(cells, 1) if "id" in cell}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
