"""The current run in a cell's output: live while it goes on, plain HTML at rest.

A live view needs its kernel. So from when a run opens until the cell that ends it is over, the
output shows the widget; at rest it is HTML and text alone. A notebook that was saved, opened
elsewhere, put on GitHub or is not trusted still shows how the run went.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display, update_display

from ..capture import active
from ..errors import InvalidInput
from ..models import Run, to_dict

_HERE = Path(__file__).parent
_STATUS = {
    "RUNNING": "● running",
    "FINISHED": "✓ finished",
    "FAILED": "✗ failed",
    "KILLED": "■ killed",
}
_LONG = 12
_NOTHING = "No run yet. It opens with the first fit."

Subscribe = Callable[[Callable[[Run | None], None]], Callable[[], None]]


class RunWidget(anywidget.AnyWidget):
    """A run's name, status, parameters and metrics.

    Parameters
    ----------
    run:
        The run to show; ``None`` while there is none.
    subscribe:
        Called with a function that takes the run each time it changed; returns what ends that.
        Without it the widget shows ``run`` as it is.
    """

    _esm = _HERE / "run.js"
    _css = _HERE / "run.css"
    run: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(self, run: Run | None, subscribe: Subscribe | None = None) -> None:
        super().__init__(run=_plain(run))
        self._form = ""
        self._busy = True
        self._dispose = subscribe(self.show) if subscribe else None

    @classmethod
    def current(cls) -> RunWidget:
        """The widget of this kernel's current run, as capture knows it.

        Raises
        ------
        InvalidInput
            If capture is not on.
        """
        capture = active()
        if capture is None:
            raise InvalidInput("Capture is not on.", hint="Run: %load_ext mlops_jupyter")
        return cls(
            capture.current(),
            lambda callback: capture.on_change(lambda: callback(capture.current())),
        )

    def show(self, run: Run | None) -> None:
        """Show ``run`` from now on."""
        self.run = _plain(run)
        if self._open or not self._busy:
            self._settle()

    @property
    def _open(self) -> bool:
        return bool(self.run) and self.run["status"] == "RUNNING"

    def close(self) -> None:
        """End the subscription and the widget."""
        if self._dispose is not None:
            self._dispose()
            self._dispose = None
        if self._form and (shell := get_ipython()) is not None:
            shell.events.unregister("pre_run_cell", self._cell_begins)
            shell.events.unregister("post_run_cell", self._cell_ends)
            self._form = ""
        super().close()

    def _cell_begins(self, _info: Any) -> None:
        self._busy = True

    def _cell_ends(self, _result: Any) -> None:
        self._busy = False
        self._settle()

    def _settle(self) -> None:
        """Give the output the form that the run's state asks for, if it has another."""
        form = "live" if self._open else "static"
        if self._form not in ("", form):
            self._form = form
            _publish(update_display, self._data(), self.model_id)

    def _data(self) -> dict[str, Any]:
        return self._repr_mimebundle_()[0] if self._form == "live" else static(self.run)

    def _ipython_display_(self) -> None:
        shell = get_ipython()
        if not self._form and shell is not None:
            shell.events.register("pre_run_cell", self._cell_begins)
            shell.events.register("post_run_cell", self._cell_ends)
        self._form = "live" if self._open else "static"
        _publish(display, self._data(), self.model_id, metadata=self._repr_mimebundle_()[1])

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, **static(self.run)}, metadata


def _publish(how: Callable[..., Any], data: dict[str, Any], name: str, **more: Any) -> None:
    """Show or update the output ``name``; IPython's two functions for that have no types."""
    how(data, raw=True, display_id=name, **more)


def static(run: Mapping[str, Any] | None) -> dict[str, str]:
    """The run (:func:`to_dict` of it) as ``text/html`` and ``text/plain``: no script, nothing from
    elsewhere, every word of the run escaped; readable also where styles are taken away."""
    if run is None:
        body = f'<p class="mlops-about">{_NOTHING}</p>'
        return {"text/html": _section(body), "text/plain": _NOTHING}
    status = _STATUS.get(run["status"], run["status"])
    metrics = {name: _number(value) for name, value in run["metrics"].items()}
    tables = {"Metrics": metrics, "Parameters": run["parameters"]}
    body = (
        f'<p class="mlops-head"><strong class="mlops-name">{escape(run["name"])}</strong> '
        f'<span class="mlops-status" data-status="{escape(run["status"])}">{escape(status)}</span>'
        f'</p><p class="mlops-about">{escape(_about(run))}</p><div class="mlops-tables">'
        + "".join(_group(caption, rows) for caption, rows in tables.items() if rows)
        + "</div>"
    )
    lines = [f"{run['name']}  {status}", _about(run)]
    lines += [f"  {name} = {value}" for rows in tables.values() for name, value in rows.items()]
    return {"text/html": _section(body), "text/plain": "\n".join(lines)}


def _section(body: str) -> str:
    css = (_HERE / "run.css").read_text(encoding="utf-8")
    return f'<style>{css}</style><section class="mlops-run" aria-label="Run">{body}</section>'


def _group(caption: str, rows: Mapping[str, str]) -> str:
    """A table that can be folded away; a long one begins folded."""
    opened = " open" if len(rows) <= _LONG else ""
    return (
        f"<details{opened}><summary>{caption} ({len(rows)})</summary>"
        f"{_table(caption, rows)}</details>"
    )


def _table(caption: str, rows: Mapping[str, str]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    head = '<thead><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>'
    return f'<table aria-label="{caption}">{head}<tbody>{lines}</tbody></table>'


def _about(run: Mapping[str, Any]) -> str:
    started = _moment(run["started"])
    parts = [run["notebook"] or "", f"started {started:%Y-%m-%d %H:%M:%S} UTC"]
    if run["ended"]:
        parts.append(f"{_number((_moment(run['ended']) - started).total_seconds())} s")
    return " · ".join(part for part in parts if part)


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def _number(value: float | None) -> str:
    """Five significant digits; whole numbers as they are."""
    if value is None:
        return "not a number"
    return f"{value if value == int(value) else float(f'{value:.5g}'):.15g}"


def _plain(run: Run | None) -> dict[str, Any] | None:
    return None if run is None else to_dict(run)
