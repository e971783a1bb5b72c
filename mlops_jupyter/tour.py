"""The tour: the template notebook goes once round the whole loop, with real figures only.

The data set is Breast Cancer Wisconsin (Diagnostic), which comes with scikit-learn. The notebook
knows only tumours up to a mean area of 550 pixels. The endpoint is then sent the rows that the
notebook held back, and after that every other larger tumour: real rows whose distribution differs
because of which rows were selected. The remaining larger tumours are the fresh labelled rows on
which the gate measures the retrained model against the champion.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import deployments, governance, monitoring, pipelines, project, registry
from ._frames import read_table
from .errors import Conflict, MLOpsError, Unavailable, WorkFailed
from .models import Deployment, ModelVersion, PipelineRun, Prediction, Tour
from .monitoring import labels
from .pipelines import EXECUTED
from .workspace import Workspace, os_errors, write_atomic

if TYPE_CHECKING:
    import pandas as pd

NAME = "tumour"
NOTEBOOK = "tumour.ipynb"
TARGET = "diagnosis"
LARGEST_AREA = 550.0
_SWAP_DEADLINE = 60.0


def play(
    folder: Path,
    *,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[PipelineRun], None] = lambda run: None,
) -> Tour:
    """Play the tour in ``folder``; the endpoint is left running.

    Parameters
    ----------
    say:
        Told what is being done, a line each.
    progress:
        Told each change of a pipeline run.

    Raises
    ------
    Conflict
        If the folder holds something else than a tour.
    WorkFailed
        If a stage did not do what the tour shows.
    """
    started = time.monotonic()
    workspace = prepare(folder)
    say(f"The tour plays in {workspace.root.name}/")
    with _nothing_left_behind(workspace):
        tour = _play(workspace, started, say, progress)
    _mark(workspace, _journals(workspace))
    return tour


def _play(
    workspace: Workspace,
    started: float,
    say: Callable[[str], None],
    progress: Callable[[PipelineRun], None],
) -> Tour:
    notebook = workspace.root / NOTEBOOK
    say(f"1  {NOTEBOOK} runs as a pipeline")
    run = _succeeded(pipelines.run(workspace, notebook, {}, on_change=progress))

    say("2  The best of its models is registered, and promoted through the gate in mlops.toml")
    version = _register_best(workspace, run).version
    first = governance.promote(workspace, NAME, version)
    for check in first.checks:
        say(f"   {check.name}: {check.detail}")

    say(f"3  {NAME}@champion is deployed")
    deployment = deployments.deploy(workspace, NAME, name=NAME)
    say(f"   {deployment.url}")

    say("4  It answers the rows that the notebook held back; the monitor finds them normal")
    monitoring.create(
        workspace,
        NAME,
        deployment=NAME,
        reference=workspace.root / "data" / "reference.csv",
        retrain=notebook,
        retrain_parameter="fresh_data",
    )
    held_back = read_table(workspace.root / "data" / "held_back.csv")
    send(deployment, held_back, "held-back")
    calm = monitoring.check(workspace, NAME, last=len(held_back))
    say(f"   {calm.drifted_share:.0%} of the columns drifted on {calm.rows_current} rows")

    served, fresh = larger_tumours()
    say(f"5  It answers {len(served)} tumours larger than any it has learned from")
    send(deployment, served, "larger")
    report = monitoring.check(workspace, NAME, last=len(served))
    if report.alert is None:
        raise WorkFailed("The shifted rows raised no alert.", hint="See: mlops monitor report")
    alert = next(item for item in monitoring.list_alerts(workspace) if item.id == report.alert)
    say(f"   Alert {alert.id}: {alert.summary}")

    say("6  Their diagnoses arrive; the alert starts the retraining pipeline")
    truth = workspace.root / "data" / "labels.csv"
    rows = [f"larger-{row},{label}" for row, label in enumerate(served[TARGET])]
    write_atomic(truth, "\n".join([f"request_id,{TARGET}", *rows, ""]))
    added = labels.add_labels(workspace, NAME, truth)
    say(f"   {added.matched} labels matched, {added.coverage:.0%} of all records have one")
    retraining = _succeeded(monitoring.retrain(workspace, alert.id, on_change=progress))

    say("7  The new model meets the champion on fresh labelled rows")
    new_version = _register_best(workspace, retraining).version
    fresh_file = workspace.root / "data" / "fresh.csv"
    write_atomic(fresh_file, fresh.to_csv(index=False))
    promotion = governance.promote(workspace, NAME, new_version, data=fresh_file)
    for check in promotion.checks:
        say(f"   {check.name}: {check.detail}")

    say("8  The endpoint follows the alias")
    deployment = _follow(workspace, new_version)
    prediction = send(deployment, fresh.head(1), "fresh")[0]
    alert = next(item for item in monitoring.list_alerts(workspace) if item.id == alert.id)
    place = shlex.quote(os.path.relpath(workspace.root))
    return Tour(
        run=run,
        model=NAME,
        version=version,
        deployment=deployments.show_deployment(workspace, NAME),
        prediction=prediction,
        calm=calm,
        report=report,
        alert=alert,
        retraining=retraining,
        promotion=promotion,
        new_version=new_version,
        seconds=time.monotonic() - started,
        next=[
            f"mlops lab -w {place}  # all of it in JupyterLab's sidebar",
            f"mlops deployments stop {NAME} -w {place}  # end the endpoint",
        ],
    )


def larger_tumours() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The real rows that the notebook does not know, in two halves (every other row): those the
    endpoint is asked about, and those kept for the gate. Columns: the ten means and the label."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    features = [name for name in bunch.feature_names if name.startswith("mean ")]
    rows = bunch.data[features].assign(**{TARGET: bunch.target_names[bunch.target]})
    larger = rows[rows["mean area"] > LARGEST_AREA].reset_index(drop=True)
    return larger.iloc[::2].reset_index(drop=True), larger.iloc[1::2].reset_index(drop=True)


def send(deployment: Deployment, rows: pd.DataFrame, prefix: str) -> list[Prediction]:
    """Ask the endpoint about each row on its own over one connection (MLflow's ``/invocations``);
    request ids are ``<prefix>-<row>``. Latency is the client's, in milliseconds.

    Raises
    ------
    WorkFailed
        If a row is not answered with a prediction.
    """
    address = urlsplit(deployment.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    inputs = rows.drop(columns=TARGET)
    answers = []
    try:
        for number, record in enumerate(inputs.to_dict(orient="records")):
            body = json.dumps({"dataframe_records": [record]})
            headers = {
                "Content-Type": "application/json",
                "X-Request-Id": f"{prefix}-{number}",
            }
            begun = time.perf_counter()
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            elapsed = (time.perf_counter() - begun) * 1000
            if response.status != http.client.OK:
                raise WorkFailed(f"Row {number} was refused: {answer}", hint="See the logs.")
            version = response.headers["X-MLOps-Version"]
            answers.append(Prediction(number, answer["predictions"][0], version, elapsed))
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"{deployment.url} does not answer: {error}", hint="See: mlops deployments logs"
        ) from error
    finally:
        connection.close()
    return answers


def prepare(folder: Path) -> Workspace:
    """A fresh workspace from the template. An earlier tour in ``folder`` is replaced; one that
    somebody edited or worked in since is left alone, and ``<folder>-2`` (or the next free one) is
    taken.

    Raises
    ------
    Conflict
        If the folder holds something else.
    """
    folder = next(place for place in _places(folder) if not _worked_in(place))
    workspace = Workspace(folder)
    if workspace.state.exists():
        _stop_all(workspace)
        with os_errors(folder.name):
            shutil.rmtree(workspace.state)
            for made in ("data", EXECUTED):
                shutil.rmtree(folder / made, ignore_errors=True)
    project.create(folder, "tour")
    _mark(workspace, 1_000_000)
    return workspace


def _places(folder: Path) -> Iterator[Path]:
    there = list(folder.iterdir()) if folder.is_dir() else []
    if there and not any((folder / name).exists() for name in project.template_files("tour")):
        raise Conflict(
            f"The folder {folder.name!r} holds something else than a tour.",
            hint="Choose another: mlops demo DIR",
        )
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))


def _worked_in(folder: Path) -> bool:
    """Whether ``folder`` holds more than what a tour put there."""
    workspace = Workspace(folder)
    if not folder.is_dir():
        return False
    if project.changed(folder, "tour"):
        return True
    marked = _marked(workspace)
    return workspace.state.exists() and (marked is None or marked < _journals(workspace))


def _mark(workspace: Workspace, journals: int) -> None:
    """Remember that a tour made this workspace, and how many journals it wrote."""
    write_atomic(workspace.path("tour"), f"{journals}\n")


def _marked(workspace: Workspace) -> int | None:
    try:
        return int((workspace.state / "tour").read_text())
    except (OSError, ValueError):
        return None


def _journals(workspace: Workspace) -> int:
    return sum(1 for path in (workspace.state / "journals").iterdir() if path.is_file())


@contextmanager
def _nothing_left_behind(workspace: Workspace) -> Iterator[None]:
    """End the endpoint if the tour does not come to its end (an error, Ctrl-C)."""
    try:
        yield
    except BaseException:
        _stop_all(workspace)
        raise


def _stop_all(workspace: Workspace) -> None:
    for deployment in deployments.list_deployments(workspace):
        try:
            deployments.stop(workspace, deployment.name)
        except MLOpsError:
            if deployments.show_deployment(workspace, deployment.name).status == "ready":
                raise


def _succeeded(run: PipelineRun) -> PipelineRun:
    if run.status != "succeeded":
        raise WorkFailed(
            f"The pipeline {run.status}: {run.error}", hint=f"Open {run.output} to see where."
        )
    return run


def _register_best(workspace: Workspace, run: PipelineRun) -> ModelVersion:
    assert run.run_id is not None
    best = registry.best_run(workspace, run.run_id, "accuracy")
    return registry.register(workspace, NAME, best.run_id)


def _follow(workspace: Workspace, version: str) -> Deployment:
    """Wait until the deployment serves ``version``."""
    deadline = time.monotonic() + _SWAP_DEADLINE
    while True:
        deployment = deployments.show_deployment(workspace, NAME)
        if [served.version for served in deployment.versions] == [version]:
            return deployment
        if deployment.status != "ready" or time.monotonic() > deadline:
            raise WorkFailed(
                f"The deployment does not follow @champion to version {version}.",
                hint=f"See: mlops deployments logs {NAME}",
            )
        time.sleep(0.05)
