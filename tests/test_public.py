"""The public surface, pinned: what scripts, notebooks and other packages may rely on. A change here
is a change for users and belongs in CHANGELOG.md."""

from __future__ import annotations

import dataclasses
import re
from importlib.metadata import distribution

import pytest

import mlops_jupyter
from mlops_jupyter import errors, models, plugins

ENTRY_POINTS = {
    "console_scripts": {"mlops"},
    "papermill.engine": {"mlops"},
    "mlops_jupyter.ambient": {
        "builtins",
        "compiler",
        "decimal",
        "environment",
        "hooks",
        "interpreter",
        "ipython",
        "locale",
        "local-modules",
        "logging",
        "matplotlib",
        "matplotlib-inline",
        "numpy-options",
        "numpy-random",
        "pandas",
        "path",
        "random",
        "sklearn",
        "threads",
        "torch-options",
        "torch-random",
        "warnings",
        "working-folder",
    },
    "mlops_jupyter.executors": {"dask", "local"},
    "mlops_jupyter.statistics": {"chisquare", "jensenshannon", "ks", "psi", "wasserstein", "z"},
    "mlops_jupyter.targets": {"local"},
    "mlops_jupyter.views": {"run"},
}

#: The keys of each command's ``--json`` that scripts may rely on: more may come, these stay.
JSON_KEYS = {
    models.Pipeline: "notebook parameters steps",
    models.Parameter: "name type default help",
    models.Step: "name cells needs",
    models.Need: "step names files",
    models.PipelineRun: "run_id status seconds output steps",
    models.StepResult: "name status seconds reason",
    models.Run: "run_id name experiment status started ended parameters metrics notebook",
    models.RunDetail: "cells data environment git reproducibility",
    models.Model: "name versions champion",
    models.ModelVersion: "version aliases run_id status",
    models.Deployment: "name url status model versions alias requests errors p50_ms p99_ms",
    models.ServedVersion: "version weight",
    models.Report: "status rows_reference rows_current drifted_share columns findings",
    models.ColumnDrift: "column statistic value p_value threshold drift",
    models.Alert: "id monitor raised severity summary status",
}


def test_the_package_exports_these_names_and_no_others():
    assert mlops_jupyter.__all__ == [
        "MLOpsError",
        "load_ipython_extension",
        "unload_ipython_extension",
    ]
    for name in mlops_jupyter.__all__:
        assert getattr(mlops_jupyter, name).__doc__
    assert mlops_jupyter.__version__ == distribution("mlops_jupyter").version


def test_jupyter_finds_the_extensions():
    assert mlops_jupyter._jupyter_labextension_paths() == [
        {"src": "labextension", "dest": "mlops-jupyter"}
    ]
    (point,) = mlops_jupyter._jupyter_server_extension_points()
    assert point["module"] == "mlops_jupyter.server"


def test_entry_points_are_these():
    found: dict[str, set[str]] = {}
    for point in distribution("mlops_jupyter").entry_points:
        found.setdefault(point.group, set()).add(point.name)
    assert found == ENTRY_POINTS


@pytest.mark.parametrize(
    "point", distribution("mlops_jupyter").entry_points, ids=lambda p: f"{p.group}:{p.name}"
)
def test_each_entry_point_loads(point):
    assert point.load() is not None


@pytest.mark.parametrize("family", ["ambient", "statistics", "executors", "targets", "views"])
def test_an_unknown_plug_in_is_named_with_the_known_ones(family):
    with pytest.raises(errors.NotFound, match="'nonsense'") as caught:
        plugins.load(family, "nonsense")
    assert all(name in caught.value.hint for name in plugins.names(family))


def test_the_error_tree_is_as_its_docstring_draws_it():
    drawn: dict[str, tuple[int, int]] = {}
    parents: dict[str, str] = {}
    above = ["MLOpsError"]
    line_of_tree = re.compile(r"^ {4}([│├└─ ]*)(\w+) +(\d{3})  exit (\d)  \S")
    for line in (errors.__doc__ or "").splitlines():
        if match := line_of_tree.match(line):
            branch, name, status, code = match.groups()
            depth = len(branch) // 4
            above[depth:] = [name]
            drawn[name] = int(status), int(code)
            if depth:
                parents[name] = above[depth - 1]
    classes = {name: getattr(errors, name) for name in errors.__all__}
    assert drawn == {name: (c.http_status, c.exit_code) for name, c in classes.items()}
    assert parents == {name: c.__base__.__name__ for name, c in classes.items() if name in parents}
    assert set(parents) == set(classes) - {"MLOpsError"}


def test_every_error_class_of_the_module_is_exported():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_is_one_line_with_its_hint(name):
    error = (
        errors.MissingDependency("Serving a model", "serve", "starlette")
        if name == "MissingDependency"
        else getattr(errors, name)("The port 80 is taken.", hint="Choose another.")
    )
    assert error.code == name
    assert error.hint
    assert str(error) == f"{error.message} {error.hint}"
    assert "\n" not in str(error)


@pytest.mark.parametrize("cls", JSON_KEYS, ids=lambda cls: cls.__name__)
def test_keys_of_json_that_scripts_rely_on(cls):
    assert set(JSON_KEYS[cls].split()) <= {field.name for field in dataclasses.fields(cls)}
