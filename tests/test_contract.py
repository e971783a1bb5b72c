"""The TypeScript side of the wire says what ``models.py`` says."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import types
import typing
from pathlib import Path

import pytest

from mlops_jupyter import models

LABEXTENSION = Path(__file__).resolve().parent.parent / "labextension"
TYPESCRIPT = (LABEXTENSION / "src" / "models.ts").read_text(encoding="utf-8")
DATACLASSES = [
    value
    for value in vars(models).values()
    if isinstance(value, type)
    and dataclasses.is_dataclass(value)
    and value.__module__ == models.__name__
]
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def _generator() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_models", LABEXTENSION / "generate_models.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _fields(name: str) -> dict[str, str]:
    """The fields of a TypeScript interface with those it inherits, by a reading of its own."""
    if f"export type {name} = Record<string, never>;" in TYPESCRIPT:
        return {}
    head = rf"export interface {name}(?: extends (\w+))?"
    found = re.search(head + r" \{\n(.*?)\}", TYPESCRIPT, re.S)
    assert found is not None, f"{name} is not in models.ts. Run: jlpm models"
    inherited = _fields(found[1]) if found[1] else {}
    return inherited | dict(re.findall(r"^  (\w+): (.+);$", found[2], re.M))


def _aliases() -> dict[str, str]:
    return dict(re.findall(r"^export type (\w+) = (.+);$", TYPESCRIPT, re.M))


def _expected(hint: object) -> set[str]:
    """What a resolved Python hint is in TypeScript, as the set of its alternatives."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_expected(argument) for argument in arguments))
    if origin is typing.Literal:
        return {repr(argument) for argument in arguments}
    if origin is list:
        return {f"{_one(arguments[0])}[]"}
    if origin is dict:
        return {f"Record<string, {_one(arguments[1])}>"}
    if hint is typing.Any:
        return {"unknown"}
    assert isinstance(hint, type)
    return {PLAIN.get(hint, hint.__name__)}


def _one(hint: object) -> str:
    return " | ".join(sorted(_expected(hint)))


def _resolved(text: str) -> set[str]:
    """The alternatives of a TypeScript type, aliases replaced by what they stand for."""
    for alias, meaning in _aliases().items():
        text = re.sub(rf"\b{alias}\b", meaning, text)
    text = re.sub(r"<string, (.+)>", lambda found: f"<string, {_sorted(found[1])}>", text)
    return {text} if "<" in text else set(text.split(" | "))


def _sorted(text: str) -> str:
    return " | ".join(sorted(set(text.split(" | "))))


def test_models_ts_is_up_to_date() -> None:
    generated = _generator().generate(Path(models.__file__).read_text(encoding="utf-8"))
    assert generated == TYPESCRIPT, "models.ts is not up to date. Run: jlpm models"


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_every_dataclass_is_there_with_its_fields(cls: type) -> None:
    hints = typing.get_type_hints(cls)
    fields = _fields(cls.__name__)
    assert list(fields) == [field.name for field in dataclasses.fields(cls)]
    for name, text in fields.items():
        assert _resolved(text) == _expected(hints[name]), name


def test_what_has_no_counterpart_is_refused() -> None:
    source = "@dataclass\nclass A:\n    x: set[int]\n"
    with pytest.raises(ValueError, match=r"No TypeScript type for 'set\[int\]' \(line 3\)"):
        _generator().generate(source)
