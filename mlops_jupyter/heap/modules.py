"""Values that the project's own modules hold: where they are, pickling cannot follow."""

from __future__ import annotations

import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

_PLACES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_KNOWN: dict[str, bool] = {}
_PLAIN = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset)
_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def module_values() -> dict[int, str]:
    """Id to module, of the values in global names of modules that are not installed."""
    found: dict[int, str] = {}
    for name, module in list(sys.modules.items()):
        local = _KNOWN.get(name)
        if local is None:
            local = _KNOWN[name] = _is_local(name, module)
        if local:
            for value in list(vars(module).values()):
                if not isinstance(value, (*_PLAIN, *_CODE)):
                    found[id(value)] = name
    return found


def _is_local(name: str, module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if name.partition(".")[0] in ("__main__", "__mp_main__", "mlops_jupyter") or not file:
        return False
    places = Path(file).parts
    if "site-packages" in places or "dist-packages" in places:
        return False
    return not str(file).startswith(_PLACES)
