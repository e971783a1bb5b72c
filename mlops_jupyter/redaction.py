"""Secret values kept out of what is written: each form in which one shows up becomes ``***``.

A value is known as it is, by its lines, escaped as Python, JSON and HTML do, quoted for URLs, in
base64 (also inside a longer text that was encoded) and hexadecimal, with terminal colours inside,
and cut short where ``...`` or the end of the text says so. A value that is a number, or a list or
dict, is known by what it holds too.

The standard library only: kernels use this module for what they write themselves.
"""

from __future__ import annotations

import ast
import base64
import html
import json
import os
import pickle
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
#: Environment variable that tells a kernel which variables hold secrets (names, with commas).
VARIABLES = "MLOPS_SECRETS"
#: Values shorter than this many characters are not masked: they are part of too many words.
SHORTEST = 4

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_BINARY = re.compile(r"(image/(?!svg)|audio/|video/|application/(pdf|octet-stream))")
_CORE = 6  # characters of base64 inside longer base64
_PIECE = 8  # characters of a value cut short
_CHUNK = 1 << 24


def plain(text: str) -> str:
    """``text`` without terminal colours and other escape sequences."""
    return _ANSI.sub("", text)


class Redactor:
    """Masks secret values.

    Parameters
    ----------
    values:
        The values as text; those shorter than :data:`SHORTEST` are not masked.
    """

    def __init__(self, values: Iterable[str]) -> None:
        given = {value for value in values if value}
        numbers = {number for value in given for number in _numbers(value)}
        texts = {text for value in given for text in _texts(value)}
        texts |= {form for number in numbers for form in (str(number), f"{number:,}")}
        long = {text for text in texts if len(text) >= SHORTEST}
        forms = {form for text in long for form in _forms(text) if len(form) >= SHORTEST}
        self._forms = sorted(forms, key=len, reverse=True)
        self._cuttable = sorted(
            form for text in long for form in _escaped(text) if len(form) >= _PIECE + 4
        )
        self._numbers = {number for number in numbers if len(str(number)) >= SHORTEST}
        self._patterns = sorted(
            {pattern for text in long for pattern in _patterns(text)}
            | {_pickled(text) for text in given if len(text) < SHORTEST}
            | {pattern for number in self._numbers for pattern in _number_patterns(number)}
        )

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Redactor:
        """The redactor of the variables that ``MLOPS_SECRETS`` names (what a kernel was told)."""
        environ = os.environ if environ is None else environ
        names = environ.get(VARIABLES, "").split(",")
        return cls(environ[name] for name in names if name in environ)

    def text(self, text: str) -> str:
        """``text`` with each occurrence masked; colours stay."""
        if not self._forms:
            return text
        if "\x1b" not in text:
            return _cover(text, self._spans(text))
        shown: list[str] = []
        places: list[int] = []
        position = 0
        for found in [*_ANSI.finditer(text), None]:
            end = found.start() if found else len(text)
            shown.append(text[position:end])
            places += range(position, end)
            position = found.end() if found else end
        spans = [(places[a], places[b - 1] + 1) for a, b in self._spans("".join(shown))]
        return _cover(text, spans)

    def value(self, value: Any) -> Any:
        """``value`` (dicts, lists, text, numbers, as JSON has them) with all that is in it masked.

        Numbers that are secrets become the text ``***``; dicts and lists keep their types.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return type(value)({self.value(key): self.value(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            return type(value)([self.value(item) for item in value])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return MASK if value in self._numbers else value
        return value

    def output(self, output: Any) -> Any:
        """A notebook's output (nbformat 4) with its texts, tracebacks and JSON masked; pictures
        and other binary data stay as they are."""
        data = output.get("data", {})
        cleaned = self.value({key: item for key, item in output.items() if key != "data"})
        if "data" in output:
            cleaned["data"] = type(data)(
                {
                    kind: item if _BINARY.match(kind) else self.value(item)
                    for kind, item in data.items()
                }
            )
        return type(output)(cleaned)

    def notebook(self, notebook: Any) -> None:
        """Mask the outputs and widgets of ``notebook`` (nbformat 4) in place; its sources stay."""
        if not self._forms:
            return
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [self.output(output) for output in cell.outputs]
        for name in ("papermill", "widgets"):
            if name in notebook.metadata:
                notebook.metadata[name] = self.value(notebook.metadata[name])

    def bytes_contain(self, data: bytes | bytearray | memoryview) -> bool:
        """Whether stored ``data`` would hold a secret: as text in UTF-8, UTF-16 or UTF-32 (as
        arrays have it), escaped, in base64, or as a number in a pickle or an array."""
        if not self._patterns:
            return False
        view = memoryview(data).cast("B")
        overlap = max(map(len, self._patterns)) - 1
        for start in range(0, len(view), _CHUNK):
            chunk = bytes(view[start : start + _CHUNK + overlap])
            if any(pattern in chunk for pattern in self._patterns):
                return True
        return False

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets are: (start, end), merged and in order."""
        spans = [
            (start, start + len(form)) for form in self._forms for start in _places(text, form)
        ]
        for whole in self._cuttable:
            spans += _cut_short(text, whole)
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged


def _cover(text: str, spans: list[tuple[int, int]]) -> str:
    """``text`` with a mask over each span; escape sequences inside it stay."""
    parts, position = [], 0
    for start, end in spans:
        parts += [text[position:start], MASK, *_ANSI.findall(text[start:end])]
        position = end
    return "".join([*parts, text[position:]])


def _places(text: str, form: str) -> Iterator[int]:
    start = text.find(form)
    while start >= 0:
        yield start
        start = text.find(form, start + 1)


def _cut_short(text: str, whole: str) -> Iterator[tuple[int, int]]:
    """Where ``whole`` begins and is cut by an ellipsis or the text's end, or ends after one."""
    for start in _places(text, whole[:_PIECE]):
        size = _shared(whole, text[start : start + len(whole)])
        end = start + size
        if end == len(text) or text.startswith(("...", "…"), end):
            yield start, end
    for place in _places(text, whole[-_PIECE:]):
        end = place + _PIECE
        tail = text[max(0, end - len(whole)) : end]
        start = end - _shared(whole[::-1], tail[::-1])
        if text.endswith(("...", "…"), 0, start):
            yield start, end


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


# --- the forms of a value -----------------------------------------------------------------------


def _parsed(value: str) -> Any:
    """What the text says as JSON, as a Python literal or as a number; itself if nothing."""
    for read in (json.loads, ast.literal_eval, int, float):
        try:
            return read(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _numbers(value: str) -> set[int | float]:
    leaves = _leaves(_parsed(value))
    return {leaf for leaf in leaves if type(leaf) in (int, float)}


def _texts(value: str) -> set[str]:
    """The value, its lines, and the texts it holds if it is a list or dict."""
    found = {value, *(leaf for leaf in _leaves(_parsed(value)) if isinstance(leaf, str))}
    found |= {line for text in found for line in text.splitlines()}
    return found | {text.strip() for text in found}


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _forms(text: str) -> set[str]:
    raw = _raw(text)
    quoted = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
    quoted |= {re.sub(r"%..", lambda found: found[0].lower(), form) for form in quoted}
    return _escaped(text) | quoted | _base64(raw) | {raw.hex(), raw.hex().upper()}


def _escaped(text: str) -> set[str]:
    """The text and its escapes, and their escapes (JSON shown by ``repr``, say)."""
    found = {text}
    for _ in range(2):
        found |= {form for item in found for form in _escapes(item)}
    return found


def _escapes(text: str) -> Iterator[str]:
    for before in ("", '"'):  # a double quote elsewhere in the text: single ones are escaped
        skip = len(before) + 1
        yield repr(before + text)[skip:-1]
        yield ascii(before + text)[skip:-1]
        yield repr(before.encode() + _raw(text))[skip + 1 : -1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield html.escape(text)
    yield html.escape(text, quote=False)
    for mark in "'\"/":
        yield text.replace(mark, "\\" + mark)


def _base64(raw: bytes) -> set[str]:
    found = {line for line in base64.encodebytes(raw).decode().split() if len(line) >= _CORE}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        found |= {whole, whole.rstrip("=")}
        for shift in range(3):  # what does not depend on the bytes before and after
            core = encode(bytes(shift) + raw).decode()
            core = core[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
            if len(core) >= _CORE:
                found.add(core)
    return found


def _patterns(text: str) -> set[bytes]:
    raw = _raw(text)
    wide = {text.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-32-le")}
    texts = {*_escapes(text), *_base64(raw), raw.hex()}
    return {raw} | wide | {_raw(form) for form in texts if len(form) >= SHORTEST}


def _pickled(text: str) -> bytes:
    raw = _raw(text)
    return b"\x8c" + bytes([len(raw)]) + raw


def _number_patterns(number: float) -> set[bytes]:
    """How pickles and arrays hold a number."""
    found = {pickle.dumps(number, 2)[2:-1]}
    if isinstance(number, float):
        found.add(struct.pack("<d", number))
    elif -(1 << 63) <= number < 1 << 63:
        found.add(struct.pack("<q", number))
    return found
