"""config.py: settings from the file and the environment, and one clear line for each mistake."""

from __future__ import annotations

import pytest

from mlops_jupyter import config
from mlops_jupyter.errors import InvalidInput

WHOLE = """
tracking_uri = "http://127.0.0.1:5000"
database_url = "sqlite:///other.db"
experiment = "churn"
cache = "s3://bucket/team"

[gates.champion]
metric = "accuracy"
minimum = 0.85
data = "data/evaluation.csv"
target = "diagnosis"
tolerance = 0.01
"""


def test_without_a_file_all_is_default(tmp_path):
    assert config.load(tmp_path) == config.Config()


def test_every_documented_setting_is_read(tmp_path):
    (tmp_path / "mlops.toml").write_text(WHOLE)
    gate = config.Gate("accuracy", 0.85, "data/evaluation.csv", "diagnosis", 0.01)
    assert config.load(tmp_path) == config.Config(
        "http://127.0.0.1:5000",
        "sqlite:///other.db",
        "churn",
        {"champion": gate},
        "s3://bucket/team",
    )


def test_whole_numbers_are_numbers_too(tmp_path):
    (tmp_path / "mlops.toml").write_text("[gates.champion]\nminimum = 1\n")
    assert config.load(tmp_path).gates["champion"].minimum == 1.0


def test_environment_wins_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "mlops.toml").write_text(WHOLE)
    monkeypatch.setenv("MLOPS_TRACKING_URI", "http://other:1")
    monkeypatch.setenv("MLOPS_DATABASE_URL", "postgresql://db/x")
    monkeypatch.setenv("MLOPS_EXPERIMENT", "night")
    monkeypatch.setenv("MLOPS_CACHE", "gs://other")
    found = config.load(tmp_path)
    assert (found.tracking_uri, found.database_url, found.experiment, found.cache) == (
        "http://other:1",
        "postgresql://db/x",
        "night",
        "gs://other",
    )


def test_mlflows_own_variable_is_the_last_resort(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert config.load(tmp_path).tracking_uri == "http://mlflow:5000"
    (tmp_path / "mlops.toml").write_text(WHOLE)
    assert config.load(tmp_path).tracking_uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tracking_uri = ", "cannot be read"),
        ("\x00", "cannot be read"),
        ("tracking_url = 'x'", "'tracking_url'"),
        ("experiment = 3", "experiment"),
        ("gates = 3", "gates"),
        ("[gates]\nchampion = 0.8", r"\[gates.champion\]"),
        ("[gates.champion]\nmetrics = 'accuracy'", r"\[gates.champion\].*'metrics'"),
        ("[gates.champion]\nminimum = 'high'", r"\[gates.champion\].*minimum"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path, text, says):
    (tmp_path / "mlops.toml").write_text(text)
    with pytest.raises(InvalidInput, match=says) as caught:
        config.load(tmp_path)
    assert "mlops.toml" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "mlops.toml").write_bytes(b"experiment = '\xff'")
    with pytest.raises(InvalidInput, match="cannot be read"):
        config.load(tmp_path)


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    (tmp_path / "mlops.toml").mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        config.load(tmp_path)
