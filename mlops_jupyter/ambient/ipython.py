"""IPython: options set with ``%config`` and the like; extensions; what else was registered."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from .base import Ambient, Unstorable

_INTERACTIVITY = "ast_node_interactivity"
_PLAIN = (str, int, float, tuple, list, dict, set, type(None))
_APART = ("IPKernelApp", "InlineBackend", "HistoryManager", "StoreMagics")
#: Extensions that keep no state of their own once they are loaded, or whose state is carried here.
_STATELESS = frozenset(
    {
        "IPython.extensions.autoreload",
        "IPython.extensions.storemagic",
        "autoreload",
        "autotime",
        "dotenv",
        "jupyter_black",
        "lab_black",
        "line_profiler",
        "memory_profiler",
        "mlops_jupyter",
        "nb_black",
        "storemagic",
        "tensorboard",
        "watermark",
    }
)
_INTEGRATIONS = ("matplotlib.", "matplotlib_inline.", "ipykernel.", "IPython.", "mlops_jupyter.")


class IPython(Ambient):
    """Options that differ from the start, and loaded extensions.

    Magics, formatters, transformers and callbacks are carried only if a known extension, loaded
    again, brings them.
    """

    name = "ipython"

    def __init__(self) -> None:
        module: Any = sys.modules.get("IPython")
        self._shell: Any = module.get_ipython() if module is not None else None
        if self._shell is None:
            return
        text = self._shell.display_formatter.formatters["text/plain"]
        self._configurables = {
            type(configurable).__name__: (configurable, configurable.trait_names(config=True))
            for configurable in [*self._shell.configurables, text]
            if type(configurable).__name__ not in _APART
        }
        self._descriptor = inspect.getattr_static(_owner(self._shell), _INTERACTIVITY)
        self._extensions = set(self._shell.extension_manager.loaded)
        self._options = self._now()
        self._parts = dict(_parts(self._shell))

    def start(self) -> Any:
        """Nothing changed."""
        return None if self._shell is None else self._value({}, [], None)

    def _value(self, options: dict[Any, Any], extensions: list[str], reload: Any) -> Any:
        return {"options": sorted(options.items()), "extensions": extensions, "reload": reload}

    def _now(self) -> dict[tuple[str, str], Any]:
        """All plain options by class and trait."""
        found: dict[tuple[str, str], Any] = {}
        for name, (configurable, traits) in self._configurables.items():
            for trait in traits:
                value = getattr(configurable, trait)
                if isinstance(value, _PLAIN):
                    found[name, trait] = _copy(value)
        found["", "tracebacks"] = self._shell.InteractiveTB.mode
        found["", "class"] = vars(_owner(self._shell)).get(_INTERACTIVITY)
        if found["", "class"] is self._descriptor:
            found["", "class"] = None
        # What %config says of objects that do not exist yet, as the inline backend.
        sections = self._shell.config.items()
        found["", "config"] = {
            section: {name: _copy(value) for name, value in values.items()}
            for section, values in sections
            if section not in self._configurables
        }
        return found

    def capture(self) -> Any:
        """Changed options, extensions loaded since, and the mode of ``%autoreload``.

        Raises
        ------
        Unstorable
            If something is registered that cannot be registered again elsewhere.
        """
        if self._shell is None:
            return None
        now = self._now()
        options = {key: value for key, value in now.items() if value != self._options.get(key)}
        extensions = sorted(self._shell.extension_manager.loaded - self._extensions)
        for extension in extensions:
            if extension not in _STATELESS:
                raise Unstorable(f"the IPython extension {extension} may keep state of its own")
        self._check(extensions)
        return self._value(options, extensions, self._reload())

    def _check(self, extensions: list[str]) -> None:
        now = dict(_parts(self._shell))
        if now.items() == self._parts.items():
            return
        brought = (*_INTEGRATIONS, *(f"{e.partition('.')[0]}." for e in extensions))
        for (kind, name), part in now.items():
            if self._parts.get((kind, name)) is not part:
                module = f"{_module(part)}."
                if not module.startswith(brought):
                    raise Unstorable(f"the {kind} {name} was registered")
        gone = self._parts.keys() - now.keys()
        if gone:
            kind, name = min(gone)
            raise Unstorable(f"the {kind} {name} was taken away")

    def _reload(self) -> Any:
        """What to give to ``%autoreload``; ``None`` if it is not loaded or does nothing."""
        magic = self._shell.magics_manager.magics["line"].get("autoreload")
        reloader = getattr(getattr(magic, "__self__", None), "_reloader", None)
        if reloader is None or not reloader.enabled:
            return None
        if not reloader.check_all:
            return "1"
        return "3" if getattr(reloader, "autoload_obj", False) else "2"

    def restore(self, value: Any) -> None:
        """Set the options, load extensions that are missing, unload those that are too many.

        Raises
        ------
        Unstorable
            If what was registered here cannot be taken away.
        """
        if self._shell is None or value is None:
            return
        manager = self._shell.extension_manager
        wanted = self._extensions | set(value["extensions"])
        for extension in manager.loaded - wanted:
            manager.unload_extension(extension)
        for extension in wanted - manager.loaded:
            manager.load_extension(extension)
        if self._reload() != value["reload"]:
            self._shell.run_line_magic("autoreload", value["reload"] or "0")
        self._set({**self._options, **dict(value["options"])})
        self.capture()

    def _set(self, options: dict[tuple[str, str], Any]) -> None:
        owner, given = _owner(self._shell), options.pop(("", "class"))
        if vars(owner).get(_INTERACTIVITY) is not (given or self._descriptor):
            setattr(owner, _INTERACTIVITY, self._descriptor)
            # What was set while the trait was away hides it.
            vars(self._shell).pop(_INTERACTIVITY, None)
        self._shell.InteractiveTB.set_mode(options.pop(("", "tracebacks")))
        config, wanted = self._shell.config, options.pop(("", "config"))
        for section in config.keys() - wanted.keys() - self._configurables.keys():
            del config[section]
        config.update({section: type(config)(values) for section, values in wanted.items()})
        for (name, trait), value in options.items():
            configurable = self._configurables[name][0]
            hidden = given is not None and trait == _INTERACTIVITY
            if not hidden and getattr(configurable, trait) != value:
                setattr(configurable, trait, _copy(value))
        if given is not None:
            setattr(owner, _INTERACTIVITY, given)


def _owner(shell: Any) -> type:
    """The class that has the trait, where notebooks like to replace it by a plain value."""
    return next(c for c in type(shell).__mro__ if _INTERACTIVITY in vars(c))


def _copy(value: Any) -> Any:
    if isinstance(value, set):
        return sorted(value)
    return value.copy() if isinstance(value, list | dict) else value


def _parts(shell: Any) -> Iterator[tuple[tuple[str, str], object]]:
    """Everything that can be registered: kind and name, and the object."""
    for kind, magics in shell.magics_manager.magics.items():
        for name, magic in magics.items():
            yield (f"{kind} magic", name), magic
    for event, callbacks in shell.events.callbacks.items():
        for callback in callbacks:
            yield (f"{event} callback", _name(callback)), callback
    transformers = shell.input_transformer_manager
    for group in ("cleanup_transforms", "line_transforms", "token_transformers"):
        for entry in getattr(transformers, group):
            yield ("input transformer", _name(entry)), entry
    for entry in (*shell.input_transformers_post, *shell.ast_transformers):
        yield ("transformer", _name(entry)), entry
    for kind, formatter in shell.display_formatter.formatters.items():
        for printers in (formatter.type_printers, formatter.deferred_printers):
            for cls, printer in printers.items():
                name = str(cls)
                if name != "<class 'matplotlib.figure.Figure'>":  # the provider matplotlib's
                    yield (f"{kind} printer for", name), printer
    for exception in shell.custom_exceptions:
        yield ("handler of", exception.__name__), shell.CustomTB


def _name(part: Any) -> str:
    return getattr(part, "__qualname__", None) or f"{type(part).__qualname__} {id(part):#x}"


def _module(part: Any) -> str:
    with contextlib.suppress(AttributeError):
        return str(part.__func__.__module__)
    return str(getattr(part, "__module__", None) or type(part).__module__)
