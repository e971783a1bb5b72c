"""Putting results together: outputs of steps, wherever they ran, as one executed notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._kernels import Displayed

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NUMBERED = re.compile(r"\bIn ?\[\d+\]")


def pack(cells: list[tuple[int, Any]], displayed: Displayed) -> dict[str, Any]:
    """What cells of a step show, as plain JSON values with places counted within the step."""
    place = {index: number for number, (index, _) in enumerate(cells)}
    return {
        "cells": [cell.outputs for _, cell in cells],
        "ids": {
            id: [[place[cell], output] for cell, output in places if cell in place]
            for id, places in displayed.ids.items()
        },
        "updates": displayed.updates,
        "widgets": displayed.widgets,
    }


def tells_numbers(packed: dict[str, Any]) -> bool:
    """Whether outputs name cells by their execution counts, as tracebacks do."""
    return bool(
        _NUMBERED.search(_ANSI.sub("", json.dumps(packed["cells"]).replace("\\u001b", "\x1b")))
    )


class Assembly:
    """The executed notebook as it grows, step by step in notebook order.

    Parameters
    ----------
    notebook:
        The notebook that is executed; changed in place.
    node:
        Makes the notebook's kind of nodes of plain values.
    """

    def __init__(self, notebook: Any, node: Callable[[Any], Any]) -> None:
        self._notebook = notebook
        self._node = node
        self._shown: dict[str, list[tuple[int, int]]] = {}
        self._widgets: dict[str, dict[str, Any]] = {}

    def add(self, indices: list[int], packed: dict[str, Any], count: int) -> None:
        """Put a step's outputs into its cells, and its updates into earlier ones.

        Parameters
        ----------
        indices:
            The step's cells.
        packed:
            As :func:`pack` gave it.
        count:
            The execution count of its first cell.
        """
        node, cells = self._node, self._notebook.cells
        for id, data, metadata in packed["updates"]:
            for index, output in self._shown.get(id, ()):
                shown = cells[index].outputs[output]
                shown["data"], shown["metadata"] = node(data), node(metadata)
        for number, (index, outputs) in enumerate(zip(indices, packed["cells"], strict=False)):
            cells[index].outputs = node(outputs)
            cells[index].execution_count = count + number
            for output in cells[index].outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count + number
        for id, places in packed["ids"].items():
            found = [(indices[cell], output) for cell, output in places]
            self._shown.setdefault(id, []).extend(found)
        self._widgets.update(packed["widgets"])
        if self._widgets:
            self._notebook.metadata["widgets"] = node(_metadata(self._widgets))


def _metadata(widgets: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Collected widget states as the notebook's metadata keep them."""
    states = {}
    for id, widget in widgets.items():
        state = widget["state"]
        if "_model_module" not in state:
            continue
        states[id] = {
            "model_name": state.get("_model_name"),
            "model_module": state.get("_model_module"),
            "model_module_version": state.get("_model_module_version"),
            "state": state,
        }
        if widget["buffers"]:
            states[id]["buffers"] = widget["buffers"]
    content = {"state": states, "version_major": 2, "version_minor": 0}
    return {"application/vnd.jupyter.widget-state+json": content}
