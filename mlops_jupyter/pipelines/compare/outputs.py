"""Comparing what the cells of two executions of one notebook displayed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import volatile
from .pictures import same_picture
from .texts import first_in_text, short
from .walk import equal_values

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_MARKUP = frozenset({"text/html", "image/svg+xml", "application/javascript", "text/javascript"})
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True)
class CellDifference:
    """A cell that gave something else. ``index`` is 0-based in the notebook."""

    index: int
    first_difference: str


def compare_outputs(
    left: Sequence[Any], right: Sequence[Any], folders: tuple[str, str] = ("", "")
) -> list[CellDifference]:
    """The cells whose source, execution count or outputs differ.

    Parameters
    ----------
    left, right:
        nbformat 4 cells of two executions of one notebook, in its order.
    folders:
        The folders in which the two ran; where their path is printed, it does not count.

    Returns
    -------
    list of CellDifference
        In the notebook's order; a cell that only one side has is one.
    """
    found = []
    for index in range(max(len(left), len(right))):
        if index >= len(left) or index >= len(right):
            first = "the cell is " + ("missing" if index >= len(right) else "extra")
        else:
            first = _cell(left[index], right[index], folders) or ""
        if first:
            found.append(CellDifference(index, first))
    return found


def _cell(left: Any, right: Any, folders: tuple[str, str]) -> str | None:
    if left.cell_type != right.cell_type:
        return f"kind of cell: {left.cell_type} != {right.cell_type}"
    if left.source != right.source:
        return f"source: {first_in_text(left.source, right.source)}"
    if left.cell_type != "code":
        return None
    if first := _outputs(left, right, folders):
        return first
    if left.get("execution_count") != right.get("execution_count"):
        return f"execution count: {left.get('execution_count')} != {right.get('execution_count')}"
    return None


def _outputs(left: Any, right: Any, folders: tuple[str, str]) -> str | None:
    ours = [list(_merged(cell.get("outputs", []))) for cell in (left, right)]
    for number, (a, b) in enumerate(zip(*ours, strict=False), 1):
        if first := _output(a, b, folders):
            return f"output {number}, {first}"
    if len(ours[0]) != len(ours[1]):
        number = min(map(len, ours))
        what = "missing" if len(ours[0]) > number else "extra"
        one = max(ours, key=len)[number]
        return f"output {number + 1} is {what}: {_told(one)}"
    return None


def _merged(outputs: Iterable[Any]) -> Iterator[Any]:
    """The outputs with neighbouring streams joined: when a kernel sends what was printed, and
    which of stdout and stderr first, is a matter of time. Between streams and displays order is
    certain, because a display sends what was printed before it."""
    texts: dict[str, str] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            texts[output["name"]] = texts.get(output["name"], "") + "".join(output["text"])
            continue
        yield from _streams(texts)
        texts = {}
        yield output
    yield from _streams(texts)


def _streams(texts: dict[str, str]) -> Iterator[Any]:
    for name in sorted(texts, reverse=True):  # stdout before stderr
        yield {"output_type": "stream", "name": name, "text": texts[name]}


def _told(output: Any) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return f"{output['name']} {short(output['text'])}"
    if kind == "error":
        return f"{output['ename']}: {short(output['evalue'])}"
    return f"{kind} of {', '.join(output['data'])}"


def _output(a: Any, b: Any, folders: tuple[str, str]) -> str | None:
    kind = a["output_type"]
    if (kind, a.get("name")) != (b["output_type"], b.get("name")):
        return f"kind: {_told(a)} != {_told(b)}"
    if kind == "stream":
        return _text(a["name"], a["text"], b["text"], volatile.plain, folders)
    return _error(a, b, folders) if kind == "error" else _display(a, b, folders)


def _display(a: Any, b: Any, folders: tuple[str, str]) -> str | None:
    if a.get("execution_count") != b.get("execution_count"):
        return f"execution count: {a.get('execution_count')} != {b.get('execution_count')}"
    for mimetype in dict.fromkeys([*a["data"], *b["data"]]):
        if mimetype not in b["data"] or mimetype not in a["data"]:
            return f"{mimetype} is {'missing' if mimetype in a['data'] else 'extra'}"
        if first := _data(mimetype, a["data"][mimetype], b["data"][mimetype], folders):
            return first
    return equal_values(_plain(a.get("metadata", {})), _plain(b.get("metadata", {})), "metadata")


def _error(a: Any, b: Any, folders: tuple[str, str]) -> str | None:
    if a["ename"] != b["ename"]:
        return f"error: {a['ename']} != {b['ename']}"
    if first := _text(a["ename"], a["evalue"], b["evalue"], volatile.plain, folders):
        return first
    left, right = ("\n".join(output["traceback"]) for output in (a, b))
    return _text("traceback", left, right, volatile.plain, folders)


def _data(mimetype: str, a: Any, b: Any, folders: tuple[str, str]) -> str | None:
    if mimetype == _WIDGET_VIEW:  # the model's id is drawn at random
        a, b = ({**_plain(data), "model_id": ""} for data in (a, b))
    if mimetype in _PICTURES:
        first = same_picture(base64.b64decode(_joined(a)), base64.b64decode(_joined(b)))
        return f"{mimetype}: {first}" if first else None
    if isinstance(a, str | list) and isinstance(b, str | list) and not mimetype.endswith("json"):
        rules = volatile.markup if mimetype in _MARKUP else volatile.plain
        return _text(mimetype, _joined(a), _joined(b), rules, folders)
    return equal_values(_plain(a), _plain(b), mimetype)


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _plain(value: Any) -> Any:
    """JSON's own types (nbformat has a dict of its own), keys in one order (a file has them so)."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _text(
    what: str, a: str, b: str, rules: Callable[[str, str], str], folders: tuple[str, str]
) -> str | None:
    if a == b:
        return None
    first = first_in_text(rules(a, folders[0]), rules(b, folders[1]))
    return f"{what}: {first}" if first else None
