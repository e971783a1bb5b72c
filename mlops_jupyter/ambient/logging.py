"""Levels and handlers of loggers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from ..origin import installed
from .base import Ambient, Unstorable

_PLAIN = (0, True, False, ())


class Logging(Ambient):
    """Loggers whose level, propagation, state or handlers were changed.

    A handler can be carried if it is a plain one to standard output or error. What a library does
    to its own loggers, by the time they are first seen, belongs to its import.
    """

    name = "logging"

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._own: dict[str, list[logging.Handler]] = {}
        for name, logger in _loggers():
            self._own[name] = list(logger.handlers)
            self._known[name] = self._state(name, logger)

    def capture(self) -> Any:
        """The level below which all loggers are silent, and each changed logger by name.

        Raises
        ------
        Unstorable
            If a handler or filter cannot be carried.
        """
        changed = []
        for name, logger in _loggers():
            if not (logger.handlers or logger.filters) and (
                logger.level,
                logger.propagate,
                logger.disabled,
            ) == (0, True, False):
                if self._known.get(name, _PLAIN) != _PLAIN:
                    changed.append((name, _PLAIN))
                continue
            if name not in self._known:
                self._meet(name, logger)
            state = self._state(name, logger)
            if state != self._known[name]:
                changed.append((name, state))
        return logging.root.manager.disable, tuple(sorted(changed))

    def _meet(self, name: str, logger: logging.Logger) -> None:
        """A logger that is seen for the first time: an imported library's may have handlers."""
        self._known[name] = _PLAIN
        module = sys.modules.get(name.partition(".")[0])
        if module is not None and installed(getattr(module, "__file__", None) or ""):
            self._own[name] = [h for h in logger.handlers if _plain(h) is None]

    def _state(self, name: str, logger: logging.Logger) -> Any:
        own = self._own.get(name, [])
        handlers = []
        for handler in logger.handlers:
            if type(handler) is logging.NullHandler or any(handler is known for known in own):
                continue
            plain = _plain(handler)
            if plain is None:
                raise Unstorable(f"the logger {name} has a {type(handler).__name__}")
            handlers.append(plain)
        if logger.filters and name not in self._own:
            raise Unstorable(f"the logger {name} has a filter")
        return logger.level, logger.propagate, logger.disabled, tuple(handlers)

    def restore(self, value: Any) -> None:
        """Make these loggers so, and the others as they were first seen."""
        disable, changed = value
        logging.disable(disable)
        wanted = {**self._known, **dict(changed)}
        for name in {*wanted, *(name for name, _ in _loggers())}:
            logger = logging.getLogger(name)
            level, propagate, disabled, handlers = wanted.get(name, _PLAIN)
            if logger.level != level:
                logger.setLevel(level)
            logger.propagate, logger.disabled = propagate, disabled
            own = self._own.get(name, [])
            for handler in list(logger.handlers):
                if type(handler) is not logging.NullHandler and handler not in own:
                    logger.removeHandler(handler)
            for plain in handlers:
                logger.addHandler(_handler(plain))


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    yield "root", logging.root
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            yield name, logger


def _plain(handler: logging.Handler) -> Any:
    """A handler as data: stream, level and format; ``None`` if it is not a plain one."""
    if type(handler) is not logging.StreamHandler or handler.filters:
        return None
    streams = {id(sys.stdout): "stdout", id(sys.stderr): "stderr"}
    stream = streams.get(id(handler.stream))
    formatter = handler.formatter
    if stream is None or type(formatter) not in (logging.Formatter, type(None)):
        return None
    if formatter is None:
        return stream, handler.level, None
    styles: Any = logging._STYLES
    style = next((k for k, v in styles.items() if type(formatter._style) is v[0]), "%")
    return stream, handler.level, (formatter._fmt, formatter.datefmt, style)


def _handler(plain: Any) -> logging.Handler:
    stream, level, layout = plain
    handler = logging.StreamHandler(getattr(sys, stream))
    handler.setLevel(level)
    if layout is not None:
        handler.setFormatter(logging.Formatter(layout[0], layout[1], layout[2]))
    return handler
