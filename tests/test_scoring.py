"""The scoring application: both protocols, good and bad input, against real MLflow models."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import served
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import scoring_server
from starlette.testclient import TestClient

from mlops_jupyter import records
from mlops_jupyter._mlflow import Field, LoadedModel, Tracking
from mlops_jupyter.errors import InvalidInput, WorkFailed
from mlops_jupyter.scoring import server
from mlops_jupyter.scoring.endpoints import Service, build
from mlops_jupyter.scoring.predictor import Predictor
from mlops_jupyter.workspace import Workspace

NAMES = list(served.X.columns)
JSON = {"Content-Type": "application/json"}
BODY_LIMIT = 200_000


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, walls: None) -> Workspace:
    return served.make(tmp_path_factory.mktemp("scoring"))


def open_service(
    workspace: Workspace, model: str, name: str = ""
) -> Iterator[tuple[Service, TestClient]]:
    predictor = server.load(Tracking(workspace), model, "1")
    predictor.warm()
    writer = records.Writer(workspace, name or model)
    service = Service(name or model, predictor, writer, BODY_LIMIT)
    with TestClient(build(service)) as client:
        yield service, client
    service.close()


@pytest.fixture(scope="module")
def cancer(workspace: Workspace) -> Iterator[tuple[Service, TestClient]]:
    yield from open_service(workspace, "cancer")


@pytest.fixture(scope="module")
def mixed(workspace: Workspace) -> Iterator[tuple[Service, TestClient]]:
    yield from open_service(workspace, "mixed")


@pytest.fixture(scope="module")
def bare(workspace: Workspace) -> Iterator[tuple[Service, TestClient]]:
    yield from open_service(workspace, "bare")


def pyfunc(workspace: Workspace, model: str) -> Any:
    Tracking(workspace).models()  # points MLflow's fluent functions at this workspace
    return mlflow.pyfunc.load_model(f"models:/{model}/1")


@pytest.fixture(scope="module")
def reference(workspace: Workspace) -> Any:
    return pyfunc(workspace, "cancer")


def split(frame: pd.DataFrame) -> dict[str, Any]:
    return {"dataframe_split": json.loads(frame.to_json(orient="split", double_precision=15))}


def tensors(frame: pd.DataFrame, *, wide: bool = False) -> list[dict[str, Any]]:
    kinds = {"double": "FP64", "float": "FP32", "long": "INT64", "integer": "INT32"}
    kinds |= {"boolean": "BOOL", "string": "BYTES"}
    types = {"city": "string", "visits": "long", "small": "integer", "ratio": "float"}
    types["member"] = "boolean"
    return [
        {
            "name": name,
            "shape": [len(frame), 1] if wide else [len(frame)],
            "datatype": kinds[types.get(str(name), "double")],
            "data": json.loads(frame[name].to_json(orient="values", double_precision=15)),
        }
        for name in frame.columns
    ]


# --- good input -------------------------------------------------------------------------------


def test_predictions_equal_pyfunc_in_every_format(
    workspace: Workspace, cancer: tuple[Service, TestClient]
) -> None:
    _, client = cancer
    frame = served.X.sample(40, random_state=1)
    expected = pyfunc(workspace, "cancer").predict(frame).tolist()
    rows, columns = frame.to_numpy().tolist(), frame.to_dict(orient="list")
    bodies: list[Any] = [
        split(frame.reset_index(drop=True)),
        {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in rows]}},
        {"dataframe_records": frame.to_dict(orient="records")},
        {"instances": frame.to_dict(orient="records")},
        {"instances": rows, "params": {}},
        {"inputs": columns},
        {"inputs": rows, "params": None},
    ]
    for body in bodies:
        answer = client.post("/invocations", json=body)
        assert (answer.status_code, answer.json()) == (200, {"predictions": expected}), body.keys()
    answer = client.post(
        "/invocations", content=frame.to_csv(index=False), headers={"Content-Type": "text/csv"}
    )
    assert answer.json() == {"predictions": expected}
    infer = "/v2/models/cancer/infer"
    flat = [value for row in rows for value in row]
    whole = {"name": "all", "shape": [40, 10], "datatype": "FP64"}
    for inputs in (
        tensors(frame),
        tensors(frame, wide=True),
        [{**whole, "data": flat}],
        [{**whole, "data": rows}],
    ):
        answer = client.post(infer, json={"inputs": inputs})
        assert answer.json()["outputs"] == [
            {"name": "predict", "shape": [40], "datatype": "INT64", "data": expected}
        ]


def test_good_input_is_answered_as_by_mlflow(
    workspace: Workspace, mixed: tuple[Service, TestClient]
) -> None:
    _, ours = mixed
    theirs = TestClient(scoring_server.init(pyfunc(workspace, "mixed")))
    frame = served.mixed_frame().iloc[3:9].reset_index(drop=True)
    full = frame.dropna()
    for body in (
        split(frame),
        {"dataframe_records": json.loads(full.to_json(orient="records", double_precision=15))},
        {"inputs": json.loads(full.to_json(orient="records", double_precision=15))[0]},
    ):
        expected = theirs.post("/invocations", json=body)
        assert expected.status_code == 200, expected.text
        assert ours.post("/invocations", json=body).json() == expected.json()
    csv, kind = full.to_csv(index=False), {"Content-Type": "text/csv; charset=utf-8"}
    expected = theirs.post("/invocations", content=csv, headers=kind)
    assert ours.post("/invocations", content=csv, headers=kind).json() == expected.json()
    for route in ("/ping", "/health", "/version"):
        assert ours.get(route).text == theirs.get(route).text


def test_columns_of_many_types(workspace: Workspace, mixed: tuple[Service, TestClient]) -> None:
    service, client = mixed
    frame = served.mixed_frame()
    expected = pyfunc(workspace, "mixed").predict(frame).tolist()
    answer = client.post("/v2/models/mixed/infer", json={"inputs": tensors(frame)})
    assert answer.json()["outputs"][0]["datatype"] == "BYTES"
    assert answer.json()["outputs"][0]["data"] == expected
    without = frame.assign(age=np.nan)
    answer = client.post(
        "/v2/models/mixed/infer", json={"inputs": tensors(without.drop(columns="age"))}
    )
    assert (
        answer.json()["outputs"][0]["data"] == pyfunc(workspace, "mixed").predict(without).tolist()
    )
    columns = [frame[name].tolist() for name in frame.columns]
    ages = [None if np.isnan(age) else age for age in frame["age"]]
    built = service.predictor.signature.frame([columns[0], ages, *columns[2:]])
    assert isinstance(built, pd.DataFrame)
    pd.testing.assert_series_equal(built.dtypes, frame.dtypes)


def test_a_model_of_a_bare_array(workspace: Workspace, bare: tuple[Service, TestClient]) -> None:
    _, client = bare
    array = served.X.to_numpy()[:20, :3]
    expected = pyfunc(workspace, "bare").predict(array).tolist()
    body: dict[str, Any] = {"inputs": array.tolist()}
    assert client.post("/invocations", json=body).json() == {"predictions": expected}
    tensor = {"name": "x", "shape": [20, 3], "datatype": "FP64", "data": array.tolist()}
    answer = client.post("/v2/models/bare/infer", json={"inputs": [tensor]})
    assert answer.json()["outputs"][0]["data"] == expected
    assert list(records.read(workspace, "bare", last=1)[0].inputs) == ["0", "1", "2"]


def test_discovery(cancer: tuple[Service, TestClient]) -> None:
    _, client = cancer
    assert client.get("/v2").json()["name"] == "mlops_jupyter"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/cancer/ready").status_code == 200
    assert client.get("/v2/models/cancer/versions/1/ready").status_code == 200
    about = client.get("/v2/models/cancer").json()
    assert about["versions"] == ["1"]
    assert about["inputs"][0] == {"name": NAMES[0], "datatype": "FP64", "shape": [-1, 1]}
    assert about["outputs"] == [{"name": "predict", "datatype": "INT64", "shape": [-1]}]


@pytest.mark.parametrize("model", ["cancer", "mixed", "bare"])
def test_the_examples_of_the_description_work(model: str, request: pytest.FixtureRequest) -> None:
    _, client = request.getfixturevalue(model)
    paths = client.get("/openapi.json").json()["paths"]
    assert len(paths) == 2
    for path, item in paths.items():
        example = item["post"]["requestBody"]["content"]["application/json"]["example"]
        assert client.post(path, json=example).status_code == 200, path


def test_ids_and_versions_are_named(
    workspace: Workspace, cancer: tuple[Service, TestClient]
) -> None:
    _, client = cancer
    body = {"dataframe_records": [dict.fromkeys(NAMES, 1.0)] * 2}
    answer = client.post("/invocations", json=body, headers={"X-Request-Id": "mine 1"})
    assert answer.headers["X-Request-Id"] == "mine 1"
    assert answer.headers["X-MLOps-Version"] == "1"
    found = records.read(workspace, "cancer", last=2)
    assert [record.request_id for record in found] == ["mine 1/0", "mine 1/1"]
    assert found[0].version == "1"
    assert found[0].inputs == dict.fromkeys(NAMES, 1.0)
    assert [record.output for record in found] == answer.json()["predictions"]
    inputs = tensors(served.X.head(1))
    answer = client.post("/v2/models/cancer/versions/1/infer", json={"id": "b", "inputs": inputs})
    assert answer.json()["id"] == answer.headers["X-Request-Id"] == "b"
    assert answer.json()["model_version"] == "1"
    assert records.read(workspace, "cancer", last=1)[0].request_id == "b"
    first, second = (
        client.post("/v2/models/cancer/infer", json={"id": "", "inputs": inputs}) for _ in "ab"
    )
    assert first.json()["id"] != second.json()["id"]
    assert client.get("/ping").headers["X-MLOps-Version"] == "1"


def test_figures(workspace: Workspace) -> None:
    for service, client in open_service(workspace, "cancer", "counted"):
        for _ in range(3):
            client.post("/invocations", json={"instances": [[1.0] * 10]})
        client.post("/invocations", json={})
        stats = client.get("/stats").json()
        assert (stats["requests"], stats["errors"], stats["version"]) == (4, 1, "1")
        assert 0 < stats["p50_ms"] <= stats["p99_ms"]
        text = client.get("/metrics").text
        assert 'mlops_requests_total{deployment="counted",model="cancer"} 4' in text
        assert 'mlops_request_errors_total{deployment="counted",model="cancer"} 1' in text
        assert 'le="+Inf"} 3' in text
        assert service.figures.snapshot().requests == 4


# --- bad input --------------------------------------------------------------------------------

ROW = dict.fromkeys(NAMES, 1.0)


def tensor(**changes: Any) -> dict[str, Any]:
    base = {"name": "all", "shape": [1, 10], "datatype": "FP64", "data": [1.0] * 10}
    return {**base, **changes}


def without(name: str) -> dict[str, float]:
    return {key: value for key, value in ROW.items() if key != name}


BAD_INVOCATIONS: list[tuple[Any, str]] = [
    (b"", "empty"),
    (b"{", "not JSON"),
    (b"\xff\xfe", "UTF-8|JSON"),
    (b"[1, 2]", "JSON object"),
    (b"null", "JSON object"),
    (b'{"instances": [[NaN]]}', "not JSON"),
    (b'{"instances": [[1e999]]}', "not JSON"),
    (b"[" * 100_000, "too deeply"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too deeply|Unknown"),
    ({}, "exactly one of"),
    ({"data": [[1]]}, "Unknown field 'data'"),
    ({"instances": [[1.0] * 10], "inputs": [[1.0] * 10]}, "exactly one of"),
    ({"instances": [[1.0] * 10], "extra": 1}, "Unknown field 'extra'"),
    ({"instances": [[1.0] * 10], "params": {"k": 1}}, "takes no params"),
    ({"dataframe_records": []}, "no rows"),
    ({"dataframe_records": {}}, "list of objects"),
    ({"dataframe_records": [1]}, "list of objects"),
    ({"dataframe_records": None}, "list of objects"),
    ({"dataframe_records": [{}]}, "'mean radius' is missing"),
    ({"dataframe_records": [ROW, without("mean area")]}, "Row 1: Column 'mean area' is missing"),
    ({"dataframe_records": [{**ROW, "mood": 1}]}, "Unknown column 'mood'"),
    ({"dataframe_records": [ROW, {**ROW, "mean area": None}]}, "'mean area', row 1: a value is"),
    ({"dataframe_records": [{**ROW, "mean area": "1.0"}]}, "row 0: '1.0' is not a finite number"),
    ({"dataframe_records": [{**ROW, "mean area": True}]}, "True is not a finite number"),
    ({"dataframe_records": [{**ROW, "mean area": [1.0]}]}, r"\[1.0\] is not a finite number"),
    ({"dataframe_records": [{**ROW, "mean area": {}}]}, "is not a finite number"),
    ({"dataframe_records": [{**ROW, "mean area": "x" * 999}]}, r"xxx\.\.\. is not"),
    ({"dataframe_split": []}, "must be an object"),
    ({"dataframe_split": {"data": [[1.0] * 10]}}, "has no columns"),
    ({"dataframe_split": {"columns": NAMES}}, "has no data"),
    ({"dataframe_split": {"columns": NAMES, "data": [[1.0] * 9]}}, "Row 0 has 9 values"),
    ({"dataframe_split": {"columns": NAMES, "data": [1.0]}}, "list of lists"),
    ({"dataframe_split": {"columns": NAMES, "data": []}}, "no rows"),
    ({"dataframe_split": {"columns": 3, "data": []}}, "names must be a list"),
    ({"dataframe_split": {"columns": [1] * 10, "data": []}}, "names must be a list"),
    ({"dataframe_split": {"columns": [*NAMES, NAMES[0]], "data": []}}, "twice"),
    ({"dataframe_split": {"columns": NAMES, "data": [], "more": 1}}, "must be an object of"),
    ({"dataframe_split": {"columns": NAMES, "data": [[1.0] * 10], "index": []}}, "index must"),
    ({"instances": []}, "no rows"),
    ({"instances": 3}, "list of lists"),
    ({"instances": [[1.0] * 10, [1.0] * 11]}, "Row 1 has 11 values"),
    ({"instances": [[[1.0]] * 10]}, r"\[1.0\] is not a finite number"),
    ({"inputs": {}}, "'mean radius' is missing"),
    ({"inputs": {**{name: [1.0] for name in NAMES}, "mean area": [1.0, 2.0]}}, "same length"),
    ({"inputs": {**{name: [1.0] for name in NAMES}, "mean area": 1.0}}, "must be a list of"),
    ({"inputs": {**{name: [1.0] for name in NAMES}, "mood": [1.0]}}, "Unknown column 'mood'"),
]


@pytest.mark.parametrize(("body", "says"), BAD_INVOCATIONS, ids=lambda value: str(value)[:40])
def test_bad_bodies_on_invocations(
    cancer: tuple[Service, TestClient], body: Any, says: str
) -> None:
    _, client = cancer
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post("/invocations", content=content, headers=JSON)
    refused(answer, says, "error_code")


BAD_INFERENCES: list[tuple[Any, str]] = [
    (b"", "empty"),
    (b"{'inputs'}", "not JSON"),
    ([], "JSON object"),
    ({}, "inputs must be a list"),
    ({"inputs": []}, "at least one tensor"),
    ({"inputs": [1]}, "Expected an object for a tensor"),
    ({"inputs": [tensor()], "more": 1}, "Unknown field 'more' in the request"),
    ({"inputs": [tensor()], "parameters": {"k": 1}}, "Unknown parameter 'k'"),
    ({"inputs": [tensor()], "parameters": []}, "must be an object"),
    ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, "Unknown parameter"),
    ({"inputs": [tensor(parameters={"content_type": []})]}, "Unknown parameter"),
    ({"inputs": [tensor(extra=1)]}, "Unknown field 'extra' in a tensor"),
    ({"inputs": [tensor()], "id": 7}, "id must be a string"),
    ({"inputs": [tensor()], "id": "a\nb"}, "request id"),
    ({"inputs": [tensor()], "id": "é"}, "request id"),
    ({"inputs": [tensor()], "id": "x" * 129}, "request id"),
    ({"inputs": [tensor()], "outputs": {}}, None),
    ({"inputs": [tensor()], "outputs": "predict"}, "outputs must be a list"),
    ({"inputs": [tensor()], "outputs": [{}]}, "no name"),
    ({"inputs": [tensor()], "outputs": [{"name": "other"}]}, "no output 'other'"),
    ({"inputs": [tensor(name=1)]}, "no name"),
    ({"inputs": [tensor(shape=[10, 1])]}, "'mean radius' is missing|Unknown column 'all'"),
    ({"inputs": [tensor(shape=[1, 9], data=[1.0] * 9)]}, "has shape"),
    ({"inputs": [tensor(shape=[2, 10])]}, "means 20 values, data has 10"),
    ({"inputs": [tensor(shape=[0, 10], data=[])]}, "no rows"),
    ({"inputs": [tensor(shape=[-1, 10])]}, "list of sizes"),
    ({"inputs": [tensor(shape=[True, 10])]}, "list of sizes"),
    ({"inputs": [tensor(shape=[1.0, 10])]}, "list of sizes"),
    ({"inputs": [tensor(shape="1,10")]}, "list of sizes"),
    ({"inputs": [tensor(shape=[])]}, "one or two axes"),
    ({"inputs": [tensor(shape=[1, 1, 10])]}, "one or two axes"),
    ({"inputs": [tensor(shape=[10**30, 10])]}, "data has 10"),
    ({"inputs": [tensor(datatype="FP65")]}, "unknown datatype"),
    ({"inputs": [tensor(datatype=None)]}, "unknown datatype"),
    ({"inputs": [tensor(datatype=["FP64"])]}, "unknown datatype"),
    ({"inputs": [tensor(datatype="BYTES")]}, "1.0 is not of datatype BYTES"),
    ({"inputs": [tensor(datatype="INT64")]}, "1.0 is not of datatype INT64"),
    ({"inputs": [tensor(datatype="BYTES", data=["1"] * 10)]}, "'1' is not a finite number"),
    ({"inputs": [tensor(data=[[1.0] * 9])]}, "does not have shape"),
    ({"inputs": [tensor(data=[[1.0] * 10] * 2)]}, "does not have shape"),
    ({"inputs": [tensor(data=3)]}, "data must be a list"),
    ({"inputs": [tensor(data=[*[1.0] * 9, None])]}, "a value is required"),
    ({"inputs": [tensor(data=[*[1.0] * 9, [1.0]])]}, "is not of datatype FP64"),
    ({"inputs": [tensor(), tensor()]}, "has shape"),
    ({"inputs": [tensor(name=NAMES[0], shape=[1], data=[1.0])] * 2}, "twice"),
    ({"inputs": [tensor(name=NAMES[0], shape=[1], data=[1.0])]}, "is missing"),
]


@pytest.mark.parametrize(("body", "says"), BAD_INFERENCES, ids=lambda value: str(value)[:40])
def test_bad_bodies_on_infer(
    cancer: tuple[Service, TestClient], body: Any, says: str | None
) -> None:
    _, client = cancer
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post("/v2/models/cancer/infer", content=content, headers=JSON)
    if says is None:
        assert answer.status_code == 200
    else:
        refused(answer, says, "error")


def refused(answer: Any, says: str, key: str, status: int = 400) -> None:
    """One clear line in the protocol's own body, with the headers every answer has."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == ({"error"} if key == "error" else {"error_code", "message"})
    message = body["error"] if key == "error" else body["message"]
    assert re.search(says, message), message
    assert "Traceback" not in message
    assert "\n" not in message
    assert len(message) < 1000
    assert answer.headers["X-MLOps-Version"] == "1"
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Content-Type": ""}, "no Content-Type"),
        ({"Content-Type": "text/plain"}, "'text/plain' is not supported"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "is not supported"),
        ({"Content-Type": "application/json; charset=latin-1"}, "charset=latin-1"),
        ({"Content-Type": "application/json; mode=x"}, "mode=x"),
        ({**JSON, "Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/v2/models/cancer/infer"])
def test_bad_headers(
    cancer: tuple[Service, TestClient], headers: dict[str, str], says: str, path: str
) -> None:
    _, client = cancer
    answer = client.post(path, content=b"{}", headers=headers)
    refused(answer, says, "error" if path.startswith("/v2") else "error_code", 415)


def test_no_content_type_at_all(cancer: tuple[Service, TestClient]) -> None:
    _, client = cancer
    refused(client.post("/invocations", content=b"{}"), "no Content-Type", "error_code", 415)


@pytest.mark.parametrize("given", ["", "x" * 129, "a\tb", "é"])
def test_bad_request_ids(cancer: tuple[Service, TestClient], given: str) -> None:
    _, client = cancer
    answer = client.get("/v2/health/ready", headers={"X-Request-Id": given.encode("latin-1")})  # type: ignore[dict-item]
    if given:
        refused(answer, "request id", "error")
    else:
        assert answer.headers["X-Request-Id"]


def test_too_large(cancer: tuple[Service, TestClient]) -> None:
    _, client = cancer
    body = b" " * (BODY_LIMIT + 1)
    refused(
        client.post("/invocations", content=body, headers=JSON), "larger than", "error_code", 413
    )
    chunks = iter([b" " * 60_000] * 4)
    answer = client.post("/v2/models/cancer/infer", content=chunks, headers=JSON)
    refused(answer, "larger than", "error", 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v2/nowhere", 404),
        ("GET", "/invocations", 405),
        ("GET", "/v2/models/cancer/infer", 405),
        ("POST", "/ping", 405),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/cancer/versions/9", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/cancer/versions/2/infer", 404),
        ("GET", "/v2/models/%2e%2e%2fetc", 404),
    ],
)
def test_wrong_paths(
    cancer: tuple[Service, TestClient], method: str, path: str, status: int
) -> None:
    _, client = cancer
    answer = client.request(method, path, headers=JSON)
    refused(answer, "", "error" if path.startswith("/v2") else "error_code", status)
    if status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        (",".join(NAMES), "no rows"),
        (",".join(NAMES) + "\n" + ",".join(["1"] * 9), "Row 0 has 9 values"),
        ("a,b\n1,2", "Unknown column 'a'"),
        ("," + ",".join(NAMES) + "\n" + ",".join(["1"] * 11), "Unknown column ''"),
        (",".join(NAMES) + "\n" + ",".join(["x"] * 10), "'x' is not a finite number"),
        (",".join(NAMES) + "\n" + ",".join(["inf"] * 10), "inf is not a finite number"),
        (",".join(NAMES) + "\n" + ",".join(["1_0"] * 10), "'1_0' is not a finite number"),
        (",".join(NAMES) + "\n" + ",".join([""] * 10), "a value is required"),
        (",".join(NAMES) + "\n" + ",".join(["NaN"] * 10), "a value is required"),
        (",".join(NAMES) + '\n"1', "not CSV"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_bad_csv(cancer: tuple[Service, TestClient], csv: str | bytes, says: str) -> None:
    _, client = cancer
    answer = client.post("/invocations", content=csv, headers={"Content-Type": "text/csv"})
    refused(answer, says, "error_code")


GOOD_MIXED = {"city": "Bern", "age": 3.5, "visits": 3, "small": 1, "ratio": 0.5, "member": True}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("city", 3, "3 is not a string"),
        ("city", None, "a value is required"),
        ("age", "old", "'old' is not a finite number"),
        ("visits", 1.5, "1.5 is not a whole number"),
        ("visits", 2**63, "is not a whole number in 64 bits"),
        ("visits", True, "True is not a whole number"),
        ("small", 2**31, "is not a whole number in 32 bits"),
        ("small", -(2**31) - 1, "is not a whole number in 32 bits"),
        ("ratio", 1e300, "is not a finite number in 32 bits"),
        ("member", 1, "1 is not true or false"),
        ("member", "true", "'true' is not true or false"),
    ],
)
def test_wrong_types(mixed: tuple[Service, TestClient], column: str, value: Any, says: str) -> None:
    _, client = mixed
    rows = [GOOD_MIXED, {**GOOD_MIXED, column: value}]
    answer = client.post("/invocations", json={"dataframe_records": rows})
    refused(answer, f"Column '{column}', row 1: .*{says}|row 1: {says}", "error_code")


@pytest.mark.parametrize(
    ("column", "value"),
    [("age", None), ("age", 7), ("visits", 2.0), ("visits", -(2**63)), ("small", -(2**31))],
)
def test_values_that_fit(mixed: tuple[Service, TestClient], column: str, value: Any) -> None:
    _, client = mixed
    answer = client.post(
        "/invocations", json={"dataframe_records": [{**GOOD_MIXED, column: value}]}
    )
    assert answer.status_code == 200, answer.text


def test_nothing_bad_is_recorded(workspace: Workspace, cancer: tuple[Service, TestClient]) -> None:
    _, client = cancer
    before = records.count(workspace, "cancer")
    for body, _ in BAD_INVOCATIONS:
        client.post(
            "/invocations", content=json.dumps(body) if not isinstance(body, bytes) else body
        )
    wanted = {"inputs": [tensor()], "outputs": [{"name": "other"}]}
    client.post("/v2/models/cancer/infer", json=wanted)
    assert records.count(workspace, "cancer") == before


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["FP64", "BYTES", "mean radius", "predict"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "instances", "columns", "data", "shape", "name", "datatype", *NAMES[:2]]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
formats = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "x"])


@settings(max_examples=300)
@given(
    body=st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(formats, json_values, max_size=2).map(lambda v: json.dumps(v).encode()),
    kind=st.sampled_from(["application/json", "text/csv"]),
)
def test_no_body_breaks_the_server(
    cancer: tuple[Service, TestClient], body: bytes, kind: str
) -> None:
    _, client = cancer
    for path in ("/invocations", "/v2/models/cancer/infer"):
        answer = client.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code in (200, 400, 415), answer.text
        if answer.status_code != 200:
            key = "error" if path.startswith("/v2") else "error_code"
            refused(answer, "", key, answer.status_code)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: x / 1e6)


@settings(max_examples=60)
@given(rows=st.lists(st.lists(numbers, min_size=10, max_size=10), min_size=1, max_size=5))
def test_any_numbers_are_answered_as_by_pyfunc(
    workspace: Workspace,
    cancer: tuple[Service, TestClient],
    reference: Any,
    rows: list[list[float]],
) -> None:
    _, client = cancer
    answer = client.post("/invocations", json={"inputs": rows})
    expected = reference.predict(pd.DataFrame(rows, columns=NAMES)).tolist()
    assert answer.json() == {"predictions": expected}
    [*recorded] = records.read(workspace, "cancer", last=len(rows))
    assert [list(record.inputs.values()) for record in recorded] == rows


# --- models -----------------------------------------------------------------------------------


def loaded(fields: list[Field], predict: Any) -> LoadedModel:
    return LoadedModel("m", "1", None, fields, predict, None)


NUMBER = Field("a", "double", True)


def test_a_model_without_signature_is_refused(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="no signature"):
        server.load(Tracking(workspace), "unsigned", "1")


def test_a_type_that_cannot_be_served_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'b' has type Array"):
        Predictor(loaded([NUMBER, Field("b", "Array(double)", True)], len))


def test_a_model_that_raises_is_one_line(workspace: Workspace) -> None:
    def predict(frame: pd.DataFrame) -> Any:
        if frame["a"].iloc[0] < 0:
            raise KeyError("a\nlong\nstory")
        return np.sqrt(frame["a"].to_numpy())

    predictor = Predictor(loaded([NUMBER], predict))
    predictor.warm()
    service = Service("raises", predictor, records.Writer(workspace, "raises"))
    with TestClient(build(service)) as client:
        answer = client.post("/invocations", json={"inputs": {"a": [-1]}})
        refused(answer, "could not predict these inputs: KeyError", "error_code", 422)
        assert client.post("/invocations", json={"inputs": [4]}).json() == {"predictions": [2.0]}
    service.close()


@pytest.mark.parametrize(
    ("raw", "mlflow_rows", "record_rows"),
    [
        (np.array([1.5, np.nan]), [1.5, None], [1.5, None]),
        (np.array([1, 2], dtype=np.int8), [1, 2], [1, 2]),
        (np.array(["a", "b"]), ["a", "b"], ["a", "b"]),
        (np.array([[0.1], [np.inf]]), [[0.1], [None]], [[0.1], [None]]),
        ([True, False], [True, False], [True, False]),
        (np.array([np.int64(3), "x"], dtype=object), [3, "x"], [3, "x"]),
        (
            pd.DataFrame({"u": [1, 2], "v": ["a", "b"]}),
            [{"u": 1, "v": "a"}, {"u": 2, "v": "b"}],
            [[1, "a"], [2, "b"]],
        ),
        (pd.Series([1.0, 2.0], name="s"), [{"s": 1.0}, {"s": 2.0}], [1.0, 2.0]),
        (
            np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[s]"),
            ["2020-01-01T00:00:00", "2021-01-01T00:00:00"],
            ["2020-01-01T00:00:00", "2021-01-01T00:00:00"],
        ),
    ],
)
def test_outputs_of_all_shapes(raw: Any, mlflow_rows: Any, record_rows: Any) -> None:
    prediction = Predictor(loaded([NUMBER], lambda _: raw)).predict([[1.0, 2.0]])
    assert prediction.mlflow == mlflow_rows
    assert prediction.rows == record_rows


@pytest.mark.parametrize("raw", [np.zeros(3), 1.0, np.zeros((2, 2, 2)), None])
def test_answers_that_are_not_one_per_row(raw: Any) -> None:
    with pytest.raises(WorkFailed, match="gave shape"):
        Predictor(loaded([NUMBER], lambda _: raw)).predict([[1.0, 2.0]])


def test_a_model_name_with_spaces(workspace: Workspace) -> None:
    model = LoadedModel("my model", "1", None, [NUMBER], lambda frame: frame["a"].to_numpy(), None)
    service = Service("spaces", Predictor(model), records.Writer(workspace, "spaces"))
    with TestClient(build(service)) as client:
        paths = [path for path in client.get("/openapi.json").json()["paths"] if "v2" in path]
        assert paths == ["/v2/models/my%20model/infer"]
        inputs = [{"name": "a", "shape": [1], "datatype": "FP64", "data": [2]}]
        answer = client.post(paths[0], json={"inputs": inputs})
        assert answer.json()["outputs"][0]["data"] == [2.0]
        assert answer.json()["model_name"] == "my model"
    service.close()


def test_infinity_is_null(workspace: Workspace) -> None:
    predictor = Predictor(loaded([NUMBER], lambda frame: frame["a"].to_numpy() * math.inf))
    service = Service("inf", predictor, records.Writer(workspace, "inf"))
    with TestClient(build(service)) as client:
        assert client.post("/invocations", json={"inputs": [1]}).json() == {"predictions": [None]}
    service.close()
    assert records.read(workspace, "inf")[0].output is None


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("2020-01-01", True),
        ("2020-01-01T10:00:00.123456", True),
        ("2020-01-01T10:00:00+01:00", False),
        ("1066-10-14", False),
        ("yesterday", False),
        (20200101, False),
        (None, False),
    ],
)
def test_datetimes(value: Any, fits: bool) -> None:
    predictor = Predictor(
        loaded([Field("t", "datetime", True)], lambda frame: frame["t"].to_numpy())
    )
    if fits:
        [answer] = predictor.predict([[value]]).rows
        assert pd.Timestamp(answer) == pd.Timestamp(value)
    else:
        with pytest.raises(InvalidInput, match="row 0"):
            predictor.predict([[value]])


def test_binary() -> None:
    predictor = Predictor(
        loaded([Field("b", "binary", True)], lambda frame: [len(item) for item in frame["b"]])
    )
    assert predictor.predict([["aGVsbG8="]]).rows == [5]
    with pytest.raises(InvalidInput, match="is not base64"):
        predictor.predict([["a!"]])


def test_warming() -> None:
    seen: list[pd.DataFrame] = []

    def predict(frame: pd.DataFrame) -> Any:
        seen.append(frame)
        if frame["a"].iloc[0] != 7.0:
            raise ValueError("unusual")
        return np.zeros(len(frame))

    predictor = Predictor(loaded([NUMBER], predict))
    with pytest.raises(WorkFailed, match="unusual"):
        predictor.warm()
    predictor.warm({"a": 7.0})
    with pytest.raises(WorkFailed, match="unusual"):
        predictor.warm({"a": 8.0})
    with pytest.raises(WorkFailed, match="unusual"):
        predictor.warm({"other": 8.0})  # an older version's inputs: the example is taken
    assert [frame["a"].iloc[0] for frame in seen] == [1.0, 7.0, 8.0, 1.0]
    picky = Predictor(loaded([NUMBER, Field("s", "string", True)], predict))
    picky.warm()  # a made-up text may rightly be refused
    with pytest.raises(WorkFailed, match="unusual"):
        picky.warm({"a": 1.0, "s": "real"})
