"""Parameters whose values come from the environment and are never written anywhere.

``--param-env NAME`` (or ``NAME=VARIABLE``) makes the parameter ``NAME`` a :class:`Secret`. The
cell of injected parameters gets a line that reads the variable in the kernel (:func:`lines`), so
the value itself is in no source; where outputs would show it, a
:class:`~mlops_jupyter.redaction.Redactor` puts ``***``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InvalidInput
from ..models import Parameter, PipelineRun
from ..notebook import tags
from ..redaction import MASK, SHORTEST, VARIABLES, Redactor
from . import parameters as contract
from .steps import INJECTED, PARAMETERS

__all__ = [
    "MASK",
    "Redactor",
    "Secret",
    "check",
    "clean",
    "environment",
    "inject",
    "keyed_hash",
    "lines",
    "masked",
    "notices",
    "parse",
    "redactor",
]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMENT = "# Parameters"
_CODE = {
    "None": "None",
    "bool": '{text}.strip().lower() in ("1", "on", "true", "yes")',
    "float": "float({text})",
    "int": "int({text})",
    "json": '__import__("json").loads({text})',
    "literal": '__import__("ast").literal_eval({text})',
    "str": "{text}",
}


@dataclass(frozen=True)
class Secret:
    """A parameter whose value the environment variable ``variable`` holds.

    ``type`` is the declared type. ``kind`` says how the variable's text becomes the value:
    ``None``, ``bool``, ``int``, ``float``, ``str``, ``json`` or ``literal`` (a list or dict).
    """

    name: str
    variable: str
    type: str
    kind: str


def parse(given: Iterable[str]) -> dict[str, str]:
    """``NAME`` and ``NAME=VARIABLE`` as variable by name.

    Raises
    ------
    InvalidInput
        If one is neither, or a name comes twice.
    """
    found: dict[str, str] = {}
    for item in given:
        name, equals, variable = item.partition("=")
        variable = variable if equals else name
        if not name.isidentifier() or not _VARIABLE.fullmatch(variable):
            # What stands here may be the value itself, given by mistake: it is not repeated.
            raise InvalidInput(
                "A --param-env is neither NAME nor NAME=VARIABLE.",
                hint="Give the name of an environment variable, not its value.",
            )
        if name in found:
            raise InvalidInput(f"--param-env {name} is given twice.", hint="Give it once.")
        found[name] = variable
    return found


def check(
    parameters: list[Parameter],
    given: Mapping[str, str],
    environ: Mapping[str, str],
    taken: Collection[str] = (),
) -> list[Secret]:
    """The secrets of a run, their values checked by the notebook's contract.

    Parameters
    ----------
    parameters:
        What the notebook declares.
    given:
        The environment variable by parameter name.
    environ:
        The environment.
    taken:
        Parameters that have a value from elsewhere.

    Raises
    ------
    InvalidInput
        If a parameter is not declared, has a value already, its variable is not set or empty, or
        holds a value of the wrong type (which the error does not show).
    """
    return [_secret(parameters, name, given[name], environ, taken) for name in given]


def _secret(
    parameters: list[Parameter],
    name: str,
    variable: str,
    environ: Mapping[str, str],
    taken: Collection[str],
) -> Secret:
    if name in taken:
        raise InvalidInput(
            f"The parameter {name!r} has a value and --param-env too.", hint="Give one of them."
        )
    declared = {parameter.name: parameter.type for parameter in parameters}
    if name not in declared:
        contract.check(parameters, {name: ""})  # refuses it
    text = environ.get(variable)
    if not text:
        raise InvalidInput(
            f"The environment variable {variable} is {'not set' if text is None else 'empty'}.",
            hint=f"The parameter {name!r} takes its value from it.",
        )
    with contextlib.suppress(InvalidInput):  # it shows the value
        value = contract.check(parameters, {name: text})[name]
        return Secret(name, variable, declared[name], _kind(text, value))
    raise InvalidInput(
        f"Parameter {name!r} must be {declared[name]}; what {variable} holds is not.",
        hint="The value is not shown because it is a secret.",
    )


def _kind(text: str, value: Any) -> str:
    if not isinstance(value, list | dict):
        return type(value).__name__ if value is not None else "None"
    try:
        json.loads(text)
    except ValueError:
        return "literal"
    return "json"


def lines(secrets: Iterable[Secret]) -> str:
    """The Python source that gives the parameters their values in the kernel, a line each. It
    binds no other name.

    >>> print(lines([Secret("port", "DB_PORT", "int", "int")]))
    port = int(__import__("os").environ["DB_PORT"])
    """
    return "\n".join(
        f"{secret.name} = "
        + _CODE[secret.kind].format(text=f'__import__("os").environ["{secret.variable}"]')
        for secret in secrets
    )


def inject(notebook: Any, secrets: Collection[Secret], parameters: Mapping[str, Any]) -> None:
    """Add the secrets' lines to ``notebook`` in place, as papermill injects parameters.

    Parameters
    ----------
    notebook:
        An nbformat 4 notebook.
    secrets:
        What to add; nothing happens when empty.
    parameters:
        What papermill injected just now. If it did, its cell gets the lines. If it did not, a cell
        like papermill's is put where papermill would put it: in the place of one from an earlier
        run, else below the cell tagged ``parameters``, else at the top.
    """
    import nbformat

    if not secrets:
        return
    cells = notebook.cells
    tagged = [index for index, cell in enumerate(cells) if INJECTED in tags(cell)]
    if parameters and tagged:
        cell = cells[tagged[0]]
        cell.source = f"{cell.source.rstrip()}\n{lines(secrets)}\n"
        return
    made = nbformat.v4.new_code_cell(f"{_COMMENT}\n{lines(secrets)}\n")
    made.metadata["tags"] = [INJECTED]
    made.metadata["papermill"] = {}
    declaring = [index for index, cell in enumerate(cells) if PARAMETERS in tags(cell)]
    if tagged:
        cells[tagged[0]] = made
    else:
        cells.insert(declaring[0] + 1 if declaring else 0, made)


def environment(secrets: Iterable[Secret]) -> dict[str, str]:
    """What the kernel is told, so that what it writes itself is masked too."""
    names = ",".join(sorted({secret.variable for secret in secrets}))
    return {VARIABLES: names} if names else {}


def masked(secrets: Iterable[Secret]) -> dict[str, str]:
    """The secrets as records show them: ``***`` by name."""
    return {secret.name: MASK for secret in secrets}


def redactor(given: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Redactor:
    """The redactor for the variables ``given`` (by parameter name); those not set count nothing."""
    environ = os.environ if environ is None else environ
    return Redactor(environ.get(variable, "") for variable in given.values())


def notices(given: Mapping[str, str], environ: Mapping[str, str] | None = None) -> list[str]:
    """What the user has to know before the run: a line for each value too short to be masked."""
    environ = os.environ if environ is None else environ
    return [
        f"What {variable} holds is shorter than {SHORTEST} characters: where outputs show it, it "
        "is not masked."
        for variable in given.values()
        if 0 < len(environ.get(variable, "")) < SHORTEST
    ]


def clean(run: PipelineRun, redactor: Redactor) -> PipelineRun:
    """``run`` with what its errors, reasons and parameters say masked."""
    if not redactor:
        return run
    return replace(
        run,
        error=redactor.value(run.error),
        parameters=redactor.value(run.parameters),
        steps=[replace(step, reason=redactor.text(step.reason)) for step in run.steps],
    )


def keyed_hash(value: str) -> str:
    """A digest (hex) that is the same for equal values in all processes of this user, and tells
    nobody else what the value is: it can stand in a cache key."""
    from ..trust import seal_of

    return seal_of(b"environment\0" + value.encode("utf-8", "surrogateescape"))
