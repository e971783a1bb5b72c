"""Widgets: what they show, live and at rest, and that nobody's words become markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter import plugins
from mlops_jupyter.models import Run
from mlops_jupyter.widgets.run import RunWidget, static

VIEW = "application/vnd.jupyter.widget-view+json"
RUN = Run(
    run_id="r1",
    name="RandomForestClassifier",
    experiment="churn",
    status="RUNNING",
    started="2026-11-20T10:00:00.000Z",
    ended=None,
    parameters={"n_estimators": "100"},
    metrics={"accuracy": 0.947368421, "rows": 569.0},
    notebook="tour.ipynb",
    kind="model",
)
DONE = replace(RUN, status="FINISHED", ended="2026-11-20T10:00:02.500Z")


class Page(HTMLParser):
    """The text and tags of some HTML, styles apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def test_it_is_a_plug_in_like_a_strangers() -> None:
    assert plugins.load("views", "run") is RunWidget


def test_the_state_that_the_browser_gets() -> None:
    widget = RunWidget(RUN)
    state = widget.get_state()
    assert state["run"]["name"] == RUN.name
    assert state["run"]["metrics"] == RUN.metrics
    assert "innerHTML" not in state["_esm"]
    for source in (state["_esm"], state["_css"]):
        assert "://" not in source
        assert "@import" not in source
    widget.close()


def test_it_follows_and_lets_go() -> None:
    callbacks: list[Callable[[Run | None], None]] = []

    def subscribe(callback: Callable[[Run | None], None]) -> Callable[[], None]:
        callbacks.append(callback)
        return lambda: callbacks.remove(callback)

    widget = RunWidget(None, subscribe)
    assert widget.run is None
    callbacks[0](RUN)
    assert widget.run["status"] == "RUNNING"
    callbacks[0](replace(RUN, metrics={"loss": float("nan")}))
    assert widget.run["metrics"] == {"loss": None}
    widget.close()
    assert not callbacks


def test_every_rendering_is_in_the_bundle() -> None:
    data, _ = RunWidget(RUN)._repr_mimebundle_()
    assert set(data) == {VIEW, "text/html", "text/plain"}


def test_the_static_rendering() -> None:
    bundle = static(RunWidget(DONE).run)
    page = Page(bundle["text/html"])
    for word in ("RandomForestClassifier", "✓ finished", "0.94737", "569", "100", "2.5 s"):
        assert word in page.text
        assert word in bundle["text/plain"]
    assert page.tags.count("table") == page.tags.count("details") == 2
    assert ("scope", "row") in page.attributes
    assert ("scope", "col") in page.attributes
    assert "script" not in page.tags


def test_no_run_yet() -> None:
    bundle = static(None)
    assert "No run yet" in Page(bundle["text/html"]).text
    assert "No run yet" in bundle["text/plain"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.floats())
def test_nobodys_words_become_markup(word: str, value: float) -> None:
    clean = Page(static(RunWidget(DONE).run)["text/html"])
    for hostile in (word, f"</style><script>{word}", f'"><img src=x onerror="{word}">'):
        run = replace(
            DONE,
            name=hostile,
            notebook=hostile,
            parameters={hostile: hostile},
            metrics={hostile: value, "rows": 1.0},
        )
        page = Page(static(RunWidget(run).run)["text/html"])
        assert page.text.count(hostile) >= 5
        assert page.tags[:6] == clean.tags[:6]
        assert sorted({*page.tags}) == sorted({*clean.tags})


@pytest.fixture
def executed(tmp_path: Path) -> Callable[[list[str]], Any]:
    """Cells run in a real kernel, as the notebook they leave."""

    def run(cells: list[str]) -> Any:
        from nbclient import NotebookClient

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        return NotebookClient(
            notebook, timeout=60, resources={"metadata": {"path": tmp_path}}
        ).execute()

    return run


SETUP = """
from dataclasses import replace
from mlops_jupyter.models import Run
from mlops_jupyter.widgets.run import RunWidget
listeners = []
def subscribe(callback):
    listeners.append(callback)
    return lambda: listeners.remove(callback)
run = Run("r1", "fit", "e", "RUNNING", "2026-11-20T10:00:00Z", None, {}, {}, None)
done = replace(run, status="FINISHED", ended="2026-11-20T10:00:01Z", metrics={"accuracy": 0.5})
RunWidget(%s, subscribe)
"""


def test_a_notebook_at_rest_needs_no_kernel(executed: Callable[[list[str]], Any]) -> None:
    notebook = executed([SETUP % "None", "listeners[0](run)", "listeners[0](done)"])
    (output,) = notebook.cells[0].outputs
    assert VIEW not in output.data
    assert "✓ finished" in output.data["text/plain"]
    assert "accuracy" in output.data["text/html"]
    assert not notebook.cells[1].outputs
    assert not notebook.cells[2].outputs


def test_a_run_that_goes_on_is_live(executed: Callable[[list[str]], Any]) -> None:
    notebook = executed([SETUP % "None", "listeners[0](run)"])
    (output,) = notebook.cells[0].outputs
    assert {VIEW, "text/html", "text/plain"} <= set(output.data)


COUNT = """
published = []
publish = get_ipython().display_pub.publish
def counting(*args, **kwargs):
    published.append(kwargs)
    return publish(*args, **kwargs)
get_ipython().display_pub.publish = counting
"""
SWEEP = """
for _ in range(50):
    listeners[0](run)
    listeners[0](done)
"""


def test_many_runs_in_a_cell_change_the_output_once(executed: Callable[[list[str]], Any]) -> None:
    notebook = executed([SETUP % "run", COUNT + SWEEP, "print(len(published))"])
    assert notebook.cells[2].outputs[0].text.strip() == "1"
    assert VIEW not in notebook.cells[0].outputs[0].data


def test_also_in_the_cell_that_shows_it(executed: Callable[[list[str]], Any]) -> None:
    notebook = executed(
        [COUNT + (SETUP % "run").rstrip() + "._ipython_display_()" + SWEEP, "print(len(published))"]
    )
    assert notebook.cells[1].outputs[0].text.strip() == "2"
    assert VIEW not in notebook.cells[0].outputs[0].data
