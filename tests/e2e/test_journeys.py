"""What people do in JupyterLab, in a real browser against a real server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from .conftest import SECONDS, Lab

SECTIONS = {
    "Runs": "No runs yet. Add %load_ext mlops_jupyter to a notebook and fit a model.",
    "Models": "No models yet.",
    "Pipelines": "No pipeline has run yet. Right-click a notebook in the file browser",
    "Deployments": "Nothing is served.",
    "Monitors": "Nothing is watched.",
}
LOAD = "%load_ext mlops_jupyter"
DATA = """\
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)"""
FIT = """\
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
model.fit(X_train, y_train)
model.score(X_test, y_test)"""
OpenLab = Callable[..., Locator]
Picture = Callable[[str], None]


def row(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("treeitem", name=re.compile(name))


def run_all_cells(page: Page) -> None:
    page.wait_for_function("jupyterapp.commands.isEnabled('runmenu:run-all')")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def test_an_empty_workspace_says_what_to_do_next(
    lab: Lab, page: Page, open_lab: OpenLab, picture: Picture
) -> None:
    panel = open_lab(lab)
    for title, advice in SECTIONS.items():
        expect(panel.get_by_role("heading", name=f"{title} Section")).to_be_visible()
        section = panel.get_by_role("region", name=f"{title} Section")
        expect(section).to_contain_text(advice)
        panel.get_by_role("button", name=f"Refresh {title}").click()
        expect(section).to_contain_text(advice)
    picture("empty")
    assert not (lab.root / ".mlops").exists()


def test_a_fit_appears_in_the_sidebar_without_reload(
    lab: Lab, page: Page, open_lab: OpenLab, picture: Picture
) -> None:
    lab.write("explore.ipynb", LOAD, DATA, FIT)
    panel = open_lab(lab, "explore.ipynb")
    expect(panel).to_contain_text(SECTIONS["Runs"])
    page.evaluate("window.notReloaded = true")

    run_all_cells(page)

    runs = panel.get_by_role("tree", name="Runs")
    run = row(runs, r"^LogisticRegression, Finished, accuracy 0\.97")
    expect(run).to_be_visible(timeout=60 * SECONDS)
    run.click()
    expect(run.get_by_role("region", name="Metrics")).to_be_visible()
    expect(run.get_by_role("region", name="Parameters")).to_contain_text("0.5")
    picture("runs")
    assert page.evaluate("window.notReloaded")


def test_a_notebook_runs_as_a_pipeline_from_the_file_browser(
    lab: Lab, page: Page, open_lab: OpenLab, picture: Picture, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    wait = "while not (Path(gate) / {!r}).exists():\n    time.sleep(0.02)"
    lab.write(
        "train.ipynb",
        "gate: str = '.'  # Folder of the files that the steps wait for\nrounds: int = 3",
        "# Load\nWhat the model learns from.",
        "import time\nfrom pathlib import Path\n" + wait.format("load"),
        "# Features",
        wait.format("features") + "\nfeatures = list(range(rounds))",
        "# Fit",
        wait.format("fit") + "\nprint(sum(features))",
        tags={0: "parameters"},
    )
    panel = open_lab(lab)
    page.get_by_role("tab", name=re.compile("File Browser")).click()
    page.get_by_role("listitem", name=re.compile("train.ipynb")).click(button="right")
    page.get_by_role("menuitem", name="Run as pipeline").click()

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Folder of the files that the steps wait for")
    dialog.get_by_label("rounds").fill("many")
    expect(dialog.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    dialog.get_by_label("rounds").fill("5")
    dialog.get_by_label("gate").fill(str(gate))
    picture("parameters")
    dialog.get_by_role("button", name="Run", exact=True).click()

    pipelines = panel.get_by_role("tree", name="Pipelines")
    pipeline = row(pipelines, "^train.ipynb, ").first
    expect(pipeline).to_be_visible()
    expect(row(pipelines, "^load, Running")).to_be_visible(timeout=60 * SECONDS)
    expect(row(pipelines, "^features, Pending")).to_be_visible()
    (gate / "load").touch()
    expect(row(pipelines, "^load, Ran")).to_be_visible()
    expect(row(pipelines, "^features, Running")).to_be_visible()
    expect(row(pipelines, "^fit, Pending")).to_be_visible()
    picture("pipeline-running")
    (gate / "features").touch()
    expect(row(pipelines, "^fit, Running")).to_be_visible()
    (gate / "fit").touch()
    expect(row(pipelines, "^train.ipynb, Succeeded")).to_be_visible(timeout=60 * SECONDS)
    pipeline.click()
    for step in ("load", "features", "fit"):
        expect(row(pipelines, f"^{step}, Ran")).to_be_visible()
    picture("pipeline-done")


def test_a_notebook_that_cannot_run_is_one_clear_line(
    lab: Lab, page: Page, open_lab: OpenLab
) -> None:
    lab.write("broken.ipynb", "def f(:\n    pass")
    open_lab(lab)
    page.get_by_role("tab", name=re.compile("File Browser")).click()
    page.get_by_role("listitem", name=re.compile("broken.ipynb")).click(button="right")
    page.get_by_role("menuitem", name="Run as pipeline").click()
    note = page.get_by_role("alert")
    expect(note).to_contain_text("broken.ipynb")
    expect(note).not_to_contain_text("Traceback")


def test_the_widget_shows_the_current_run(
    lab: Lab, page: Page, open_lab: OpenLab, picture: Picture
) -> None:
    lab.write("widget.ipynb", LOAD, DATA, FIT, "%mlops runs current")
    open_lab(lab, "widget.ipynb")
    run_all_cells(page)
    notebook = page.get_by_role("main")
    run = notebook.get_by_role("region", name="Run", exact=True)
    expect(run.get_by_role("table", name="Metrics")).to_contain_text(
        "accuracy", timeout=60 * SECONDS
    )
    run.get_by_text(re.compile(r"^Parameters \(\d+\)")).click()
    expect(run.get_by_role("table", name="Parameters")).to_contain_text("0.5")
    picture("widget")


def test_what_the_tour_left_is_in_the_sidebar(
    tour_lab: Lab, page: Page, open_lab: OpenLab, picture: Picture
) -> None:
    panel = open_lab(tour_lab, "tumour.ipynb")
    for title in ("Runs", "Pipelines"):
        expect(row(panel.get_by_role("tree", name=title), r"^tumour\.ipynb").first).to_be_visible()
    models = panel.get_by_role("tree", name="Models")
    expect(row(models, "^tumour")).to_contain_text("2 versions")
    deployment = row(panel.get_by_role("tree", name="Deployments"), "^tumour, Ready")
    expect(deployment).to_contain_text("v2")
    expect(row(panel.get_by_role("tree", name="Monitors"), "^tumour")).to_be_visible()
    pipeline = row(panel.get_by_role("tree", name="Pipelines"), r"^tumour\.ipynb").first
    pipeline.click()
    expect(row(pipeline, "^train-candidates, Ran")).to_be_visible()
    deployment.click()
    expect(deployment).to_contain_text("tumour@champion")
    picture("tour")

    pipeline.get_by_text("Succeeded").first.hover()
    pipeline.get_by_role("button", name="Open the executed notebook").click()
    executed = page.get_by_role("tab", name=re.compile(r"^tumour-.*\.ipynb"))
    expect(executed).to_be_visible()
    expect(page.get_by_role("main").get_by_role("img").first).to_be_visible()
    picture("executed")
