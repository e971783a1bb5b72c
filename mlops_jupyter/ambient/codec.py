"""Ambient values as bytes: equal values give equal bytes, in every kernel.

The pickler keeps no memo, so bytes do not depend on which objects happen to be the same one.
Functions of the notebook that need nothing but builtins are stored by their code.
"""

from __future__ import annotations

import builtins
import dis
import io
import marshal
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from .base import Unstorable

_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME")


def encode(value: Any) -> bytes:
    """``value`` as bytes.

    Raises
    ------
    Unstorable
        If something in it cannot be pickled, or only means something in this kernel.
    """
    stream = io.BytesIO()
    pickler = _Pickler(stream, protocol=5)
    pickler.fast = True
    try:
        pickler.dump(value)
    except Unstorable:
        raise
    except Exception as error:  # __reduce__ may raise anything
        raise Unstorable(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    return stream.getvalue()


def decode(data: bytes) -> Any:
    """What :func:`encode` was given."""
    return pickle.loads(data)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Notebook code by value or not at all; the rest as usual."""
        if isinstance(value, types.FunctionType) and not _importable(value):
            return _function, _parts(value)
        if isinstance(value, type) and not _importable(value):
            raise Unstorable(f"the class {value.__qualname__} is the notebook's own")
        return NotImplemented


def _importable(value: Any) -> bool:
    if value.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _parts(function: types.FunctionType) -> tuple[bytes, str, Any, Any]:
    code = function.__code__
    plain_names = vars(builtins).keys() - function.__globals__.keys()
    if code.co_freevars or function.__dict__ or not _names(code) <= plain_names:
        raise Unstorable(f"the function {function.__qualname__} needs variables of the notebook")
    # Version 2 of the format writes no references, which would depend on reference counts.
    plain = marshal.dumps(_anonymous(code), 2)
    return plain, function.__name__, function.__defaults__, function.__kwdefaults__


def _names(code: types.CodeType) -> set[str]:
    """Names that ``code`` looks up outside of itself."""
    found = {str(step.argval) for step in dis.get_instructions(code) if step.opname in _GLOBAL}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _anonymous(code: types.CodeType) -> types.CodeType:
    constants = tuple(_anonymous(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.replace(co_filename="<notebook>", co_firstlineno=1, co_consts=constants)


def _function(
    plain: bytes, name: str, defaults: Any, keyword_defaults: Any
) -> Callable[..., object]:
    main = sys.modules["__main__"].__dict__
    function = types.FunctionType(marshal.loads(plain), main, name, defaults)
    function.__kwdefaults__ = keyword_defaults
    return function
