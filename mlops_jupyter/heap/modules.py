"""Values that the project's own modules hold: where they are, pickling cannot follow."""

from __future__ import annotations

import types

from ..origin import local_modules

_PLAIN = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset)
_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def module_values() -> dict[int, str]:
    """Id to module, of the values in global names of modules that are not installed."""
    found: dict[int, str] = {}
    for name, module in local_modules():
        for value in list(vars(module).values()):
            if not issubclass(type(value), (*_PLAIN, *_CODE)):
                found[id(value)] = name
    return found
