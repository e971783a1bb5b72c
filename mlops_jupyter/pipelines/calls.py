"""Calls: of functions and methods, of builtins that see all names, of magics."""

# ruff: noqa: D102 - visit_X says what an X does

from __future__ import annotations

import ast
from dataclasses import replace

from .events import Event
from .magic import PYTHON_LINES, UNBOUND, expanded, line_events, option_names, python_of
from .scopes import first
from .shell import SHELL_READS, is_handle, is_shell
from .walker import Walker

# Builtins that see all names, at a module's top level.
_AT_THE_TOP = frozenset({"locals", "vars", "dir"})
_SHOWN = frozenset({"str", "repr", "type", "isinstance", "hasattr", "print", "bool"})


class Calls(Walker):
    """Walks calls."""

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            if not is_shell(value):
                self._visit_call(value, discarded=True, last=node is self.last)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self._visit_call(node)

    def _visit_call(self, node: ast.Call, *, discarded: bool = False, last: bool = False) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and is_shell(function.value):
            self._shell(function.attr, node.args)
            return
        plain = isinstance(function, ast.Name) and not self.local(function.id) and function.id
        if plain in ("exec", "eval") and len(node.args) + len(node.keywords) > 1:
            self.emit(Event("read", str(plain)))
            self.all([*node.args, *(item.value for item in node.keywords)])
        elif plain in _SHOWN and any(is_shell(item) or is_handle(item) for item in node.args):
            self.emit(Event("read", str(plain)))
            self.all(item for item in node.args if not (is_shell(item) or is_handle(item)))
        else:
            self.generic_visit(node)
        if plain == "exec":
            self._exec(node)
        if plain in _AT_THE_TOP and not self.in_function and not node.args:
            self.unknown(str(plain))
        self.emit_call(node, discarded=discarded, last=last)

    def _exec(self, node: ast.Call) -> None:
        """Code in a text is walked if it can be read; it may do anything else all the same."""
        code = node.args[0] if node.args else None
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            try:
                tree = ast.parse(code.value)
            except (SyntaxError, ValueError):  # it raises where it runs
                return
            self.perhaps(tree.body)
        else:
            self.events.append(Event("surroundings", "exec()", builtin="exec"))

    def emit_call(self, node: ast.Call, *, discarded: bool = False, last: bool = False) -> None:
        call = self.values.call(node, discarded=discarded, last=last)
        name = first(call.path)
        if name and self.local(name):
            library = self.modules.get(name, "")
            rest = call.path[len(name) :]
            call = replace(call, path=rest, library=library and library + rest)
        self.events.append(Event("call", name, call=call))

    def _shell(self, method: str, arguments: list[ast.expr]) -> None:
        """A call that IPython makes of a magic or a shell escape."""
        literal = [
            item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else None
            for item in arguments
        ]
        texts = [text or "" for text in literal]
        name = texts[0] if texts else ""
        if method in ("run_line_magic", "magic") and literal and None not in literal:
            if method == "magic":
                name, _, rest = name.lstrip("%").partition(" ")
                texts = [name, rest]
            self.line_magic(name, texts[1] if len(texts) > 1 else "")
        elif method in ("system", "getoutput", "getoutput_pexpect"):
            if None in literal:
                self.all(arguments)
                self.unknown("get_ipython")
            self.add(expanded(" ".join(texts)))
        elif method not in SHELL_READS:
            self.all(arguments)
            self.unknown("get_ipython")

    def line_magic(self, name: str, line: str) -> None:
        """What ``%name line`` does."""
        if name not in PYTHON_LINES:
            self.add(line_events(name, line))
            return
        self.add([Event("read", function) for function in option_names(name, line)])
        try:
            inner = ast.parse(python_of(name, line))
        except SyntaxError:
            self.unknown("", f"%{name}")
            return
        start = len(self.events)
        self.all(inner.body)
        if name in UNBOUND:
            self.events[start:] = [event for event in self.events[start:] if event.kind != "bind"]
