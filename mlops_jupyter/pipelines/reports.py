"""The files that a run leaves for a CI server: JUnit XML and a Markdown summary.

Use :class:`Reports` around a run or a sweep. The files are written when it ended, however it ended;
a run refused because of its notebook leaves them too, one refused because of the request does not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from ..errors import InvalidInput, MLOpsError, Unavailable
from ..models import PipelineRun, Sweep
from ..redaction import Redactor
from ..workspace import Workspace, os_errors, write_atomic
from . import junit as xml
from . import runner, secrets
from . import summary as text
from .failures import Failure, find

GITHUB = "GITHUB_STEP_SUMMARY"


class Reports:
    """A context in which one notebook runs; call it with each state of the run.

    Parameters
    ----------
    workspace, notebook:
        What runs.
    output:
        Where the executed notebook goes, if not to the workspace's own place.
    junit:
        File for JUnit XML.
    summary:
        File for Markdown. It is also appended to the file that ``GITHUB_STEP_SUMMARY`` names.
    redactor:
        Masks secrets in all that is written.
    environ:
        The environment; default: the process's.

    Attributes
    ----------
    sweep:
        The sweep, if it is one.
    notes:
        What the user has to know at the end: lines.
    """

    def __init__(
        self,
        workspace: Workspace,
        notebook: Path,
        *,
        output: Path | None = None,
        junit: Path | None = None,
        summary: Path | None = None,
        redactor: Redactor | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.sweep: Sweep | None = None
        self.notes: list[str] = []
        self._workspace = workspace
        self._notebook = notebook
        self._output = output
        self._junit = junit.resolve() if junit else None
        self._summary = summary.resolve() if summary else None
        self._redactor = redactor or Redactor(())
        self._appended = (os.environ if environ is None else environ).get(GITHUB)
        self._runs: dict[str, PipelineRun] = {}

    def __enter__(self) -> Reports:
        """Refuse files that cannot be written, before anything runs; folders are made.

        Raises
        ------
        InvalidInput
            If one is a folder, the notebook, the output or the other report.
        Unavailable
            If one cannot be written.
        """
        places = {path.resolve() for path in (self._notebook, self._output) if path}
        for path in (self._junit, self._summary):
            if path is None:
                continue
            if path in places:
                raise InvalidInput(
                    f"The report {path.name!r} would replace another file of this run.",
                    hint="Give it a name of its own.",
                )
            if path.exists() and not path.is_file():
                raise InvalidInput(f"The report {path.name!r} is not a file.", hint="Name a file.")
            if path.parent.exists() and not path.parent.is_dir():
                raise InvalidInput(
                    f"The report {path.name!r} cannot be in {path.parent.name!r}, which is a file.",
                    hint="Choose another folder.",
                )
            with os_errors(path.name):
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=path.parent):
                    places.add(path)
        return self

    def __call__(self, run: PipelineRun) -> None:
        """Take the next state of a run."""
        self._runs[run.id] = run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the reports.

        Raises
        ------
        Unavailable
            If one cannot be written.
        """
        if self._runs:
            self._write()
        elif isinstance(error, MLOpsError) and (found := self._fault(error)) is not None:
            name = self._workspace.relative(self._notebook)
            self._save(xml.broken(name, found), text.broken(name, found))

    def failure(self, run: PipelineRun) -> Failure | None:
        """Why ``run`` failed, with the traceback from its executed notebook."""
        found = find(run, self._output or self._workspace.root / run.output)
        if found is None or not self._redactor:
            return found
        trace = self._redactor.text("\n".join(found.trace)).splitlines()
        return Failure(found.step, found.cell, self._redactor.text(found.error), tuple(trace))

    def _write(self) -> None:
        runs = [secrets.clean(run, self._redactor) for run in self._runs.values()]
        found = [(run, self.failure(run)) for run in runs]
        if self.sweep is not None:
            summary = self._redactor.text(text.sweep(self.sweep))
        else:
            summary = text.markdown(*found[-1])
        self._save(xml.document(found), summary)

    def _save(self, junit: str, summary: str) -> None:
        if self._junit is not None:
            write_atomic(self._junit, junit)
        if self._summary is not None:
            write_atomic(self._summary, summary)
        if self._appended:
            try:
                if not text.append(summary, Path(self._appended)):
                    self.notes.append(f"The summary was cut: {GITHUB} takes 1 MiB.")
            except Unavailable as error:  # nobody asked for it: no reason to fail
                self.notes.append(f"{GITHUB}: {error}")

    def _fault(self, error: MLOpsError) -> MLOpsError | None:
        """The error, if it is the notebook's and not the request's."""
        if not isinstance(error, InvalidInput):
            return None
        if error.message.startswith(self._notebook.name):
            return error
        try:
            runner.show(self._workspace, self._notebook)
        except InvalidInput as found:
            return found
        return None
