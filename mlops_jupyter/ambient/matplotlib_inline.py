"""How Jupyter shows Matplotlib's figures, once the first one was made."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient, Unstorable
from .codec import encode

_USUAL = (
    {
        "close_figures": True,
        "figure_formats": ["png"],
        "print_figure_kwargs": [("bbox_inches", "tight")],
        "rc": [],
    },
    [("png", [("bbox_inches", "tight")])],
)


class MatplotlibInline(Ambient):
    """Settings of the inline backend, and a printer for each type of image.

    ``None`` before the first figure: then IPython shows figures as text.
    """

    name = "matplotlib-inline"
    module = "matplotlib_inline.backend_inline"
    settles = True

    def __init__(self) -> None:
        module: Any = sys.modules.get("IPython")
        self._shell: Any = module.get_ipython() if module is not None else None

    def start(self) -> None:
        """Not in use."""

    def capture(self) -> Any:
        """Settings, and formats with the arguments for each.

        Raises
        ------
        Unstorable
            If user code shows figures with a function of its own.
        """
        backend: Any = sys.modules["matplotlib_inline.config"].InlineBackend
        if self._shell is None or not backend.initialized():
            return None
        inline = backend.instance()
        settings = {
            "close_figures": inline.close_figures,
            "figure_formats": sorted(inline.figure_formats),
            "print_figure_kwargs": sorted(inline.print_figure_kwargs.items()),
            "rc": sorted(inline.rc.items()),
        }
        return settings, self._printers()

    def _printers(self) -> list[tuple[str, list[tuple[str, Any]]]]:
        figure = sys.modules["matplotlib.figure"].Figure
        found = []
        for formatter in self._shell.display_formatter.formatters.values():
            printer = formatter.type_printers.get(figure)
            if printer is None:
                continue
            name = getattr(getattr(printer, "func", None), "__name__", "")
            if name not in ("print_figure", "retina_figure"):
                raise Unstorable("figures are shown by a function of the notebook")
            keywords = dict(printer.keywords)
            keywords.pop("base64", None)
            kind = keywords.pop("fmt", "retina")
            found.append((kind, sorted(keywords.items())))
        return sorted(found)

    def restore(self, value: Any) -> None:
        """Use these settings; as usual for ``None``, because the backend cannot be forgotten."""
        if self._shell is None or (value is None and self.capture() is None):
            return
        from IPython.core.pylabtools import select_figure_formats

        settings: Any
        settings, printers = value or _USUAL
        backend: Any = sys.modules["matplotlib_inline.config"].InlineBackend
        if not backend.initialized():
            sys.modules[self.module].configure_inline_support(self._shell, "inline")
        inline = backend.instance()
        inline.close_figures = settings["close_figures"]
        inline.rc = dict(settings["rc"])
        inline.figure_formats = set(settings["figure_formats"])
        inline.print_figure_kwargs = dict(settings["print_figure_kwargs"])
        keywords = dict(printers[0][1]) if printers else {}
        select_figure_formats(self._shell, {kind for kind, _ in printers}, **keywords)
        if encode(self.capture()) != encode((settings, printers)):
            raise Unstorable("the formats of figures did not take")
