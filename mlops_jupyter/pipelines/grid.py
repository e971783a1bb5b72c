"""What ``--sweep`` asks for: lists and ranges of values, checked by the notebook's contract.

::

    alpha=0.1,0.3,1        these values (quotes and brackets keep commas together)
    alpha=0:1:0.25         from, to, step; the end is included when a step hits it
    depth=1..5             whole numbers
    rate=log:1e-4:1e-1:4   so many values, each the same factor above the last

Ranges may be items of a list. In a parameter declared ``str`` they are plain text.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ..errors import InvalidInput
from ..models import Parameter
from . import parameters as contract

LIMIT = 1_000
_SHAPES = "NAME=1,2,3, NAME=START:STOP:STEP, NAME=1..5 or NAME=log:START:STOP:COUNT"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_STEPS = re.compile(rf"({_NUMBER}):({_NUMBER}):({_NUMBER})")
_WHOLE = re.compile(r"([+-]?\d+)\.\.([+-]?\d+)")
_LOG = re.compile(rf"log:({_NUMBER}):({_NUMBER}):(\d+)")
_OPEN, _CLOSE = "([{", ")]}"


def combinations(
    asked: Iterable[str], parameters: list[Parameter], taken: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """All combinations of the values asked for, the last parameter varying fastest.

    Parameters
    ----------
    asked:
        One ``NAME=VALUES`` per parameter.
    parameters:
        What the notebook declares; each value is converted to its declared type.
    taken:
        Parameters that have a value from elsewhere.

    Raises
    ------
    InvalidInput
        If one cannot be understood, a value is of the wrong type or comes twice, or there are more
        than :data:`LIMIT` combinations.
    """
    values = _values(asked, {parameter.name: parameter.type for parameter in parameters})
    for name in values:
        if name in taken:
            raise InvalidInput(
                f"The parameter {name!r} has a value and is swept too.", hint="Give one of them."
            )
    checked = {name: _checked(name, texts, parameters) for name, texts in values.items()}
    total = math.prod(map(len, checked.values()))
    if total > LIMIT:
        sizes = " x ".join(str(len(found)) for found in checked.values())
        raise InvalidInput(
            f"The sweep has {total:,} combinations ({sizes}); at most {LIMIT:,} are run.",
            hint="Take fewer values.",
        )
    return [
        dict(zip(checked, chosen, strict=True)) for chosen in itertools.product(*checked.values())
    ]


def _values(asked: Iterable[str], types: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in asked:
        name, equals, rest = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not rest.strip():
            raise InvalidInput(f"--sweep {text[:80]!r} has no values.", hint=f"Write {_SHAPES}.")
        if name in found:
            raise InvalidInput(
                f"--sweep {name} is given twice.", hint=f"Write one list: {name}=VALUE,VALUE."
            )
        is_text = types.get(name) == "str"
        items = [_unquoted(item) if is_text else item for item in _split(rest)]
        found[name] = items if is_text else [v for item in items for v in _expanded(name, item)]
    return found


def _checked(name: str, texts: list[str], parameters: list[Parameter]) -> list[Any]:
    found: list[Any] = []
    for text in texts:
        value = contract.check(parameters, {name: text})[name]
        if any(type(value) is type(other) and value == other for other in found):
            raise InvalidInput(f"--sweep {name} has {text} twice.", hint="Take one of them out.")
        found.append(value)
    return found


def _split(text: str) -> list[str]:
    """The parts between commas that are not inside quotes or brackets."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (depth or not parts[-1].strip()):
            quote = character
        elif character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += character
    return [part.strip() for part in parts]


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]
    return text[1:-1] if quoted else text


def _expanded(name: str, item: str) -> list[str]:
    """The values of one item of a list, as text that the contract reads."""
    try:
        if found := _LOG.fullmatch(item):
            return _logarithmic(float(found[1]), float(found[2]), int(found[3]))
        if found := _WHOLE.fullmatch(item):
            first, last = int(found[1]), int(found[2])
            _limit(abs(last - first) + 1)
            way = 1 if last >= first else -1
            return [str(value) for value in range(first, last + way, way)]
        if found := _STEPS.fullmatch(item):
            return _stepped(*map(Decimal, found.groups()))
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise InvalidInput(
            f"--sweep {name}={item[:80]}: {error}.", hint=f"Write {_SHAPES}."
        ) from error
    return [_unquoted(item)]


def _limit(count: int | Decimal) -> None:
    if count > LIMIT:
        raise ValueError(f"the range has more than {LIMIT:,} values")


def _stepped(start: Decimal, stop: Decimal, step: Decimal) -> list[str]:
    if not step:
        raise ValueError("the step is 0")
    if (stop - start) * step < 0:
        raise ValueError("the step leads away from the end")
    _limit(abs(stop - start) / abs(step) + 1)
    return [_text(start + number * step) for number in range(int((stop - start) / step) + 1)]


def _logarithmic(start: float, stop: float, count: int) -> list[str]:
    if not (math.isfinite(start) and math.isfinite(stop) and start > 0 and stop > 0):
        raise ValueError("a logarithmic range needs ends above 0")
    if count < 2:
        raise ValueError("a logarithmic range has 2 values or more")
    _limit(count)
    low, high = math.log10(start), math.log10(stop)
    inner = [10 ** (low + (high - low) * n / (count - 1)) for n in range(1, count - 1)]
    texts = [repr(start), *(f"{value:.12g}" for value in inner), repr(stop)]
    return [_text(Decimal(text)) for text in texts]


def _text(value: Decimal) -> str:
    """A number without a needless exponent or zeros: whole ones as ``int`` reads them."""
    if value == value.to_integral_value() and abs(value) < 10**15:
        return str(int(value))
    return str(value.normalize())
