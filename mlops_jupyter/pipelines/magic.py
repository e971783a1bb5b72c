"""IPython's magics, and those of well-known extensions, as far as the analysis must know them."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass

from .events import Event, Value
from .methods import words

# Cell magics whose body is Python that runs in the notebook's own namespace; of these, those whose
# body binds nothing there.
PYTHON_CELLS = words("capture debug memit prun step time timeit track")
UNBOUND = words("timeit memit")
# Cell magics whose body is not Python and which bind no name but those their options name.
FOREIGN_CELLS = words(
    """! bash cmd file html HTML javascript js latex markdown mlops perl python python2 python3 pypy
    ruby script sh svg SVG sx system writefile"""
)
_SHELLS = words("! sx system")
# Line magics whose line is Python, and their options that take a value.
PYTHON_LINES = {
    "lprun": "DTmsuf",
    "memit": "rti",
    "mprun": "fT",
    "prun": "DlsT",
    "time": "",
    "timeit": "nrpv",
}
# Line magics that touch no name but those written in their line as {x} or $x.
_PLAIN = words(
    """autosave bookmark cat clear conda connect_info cp ldir less lf lk ll load loadpy ls lsmagic
    lx magic mamba man micromamba mkdir mlops more mv pastebin pip pwd pycat qtconsole quickref rm
    rmdir sc sx system track step uv watermark"""
)
# Line magics that read the names (or the roots of the expressions) written in their line.
_READING = words("page pdef pdoc pfile pinfo pinfo2 psource")
# Line magics that show or use earlier inputs and outputs.
_HISTORY = words("debug dhist dirs ed edit hist history macro notebook recall rep rerun save tb")
# Line magics that look at all names, and those of them that also bind or delete some.
_LISTING = words("psearch reset reset_selective run who who_ls whos")
_BINDING = words("reset reset_selective run")
# Line magics that change the kernel in a way that only running them again repeats.
_SURROUNDINGS = words(
    """aimport alias alias_magic autoawait autocall automagic autoreload code_wrap colors config
    doctest_mode gui killbgscripts load_ext logoff logon logstart logstate logstop matplotlib pdb
    pprint precision rehashx reload_ext sql R unalias unload_ext xmode"""
)
_AMBIENT = {
    "cd": "working-folder",
    "pushd": "working-folder",
    "popd": "working-folder",
    "env": "environment",
    "set_env": "environment",
}
# Line magics that IPython accepts without `%` when they are a cell's only line.
AUTOMAGIC = words(
    """alias cat cd conda config cp dirs env hist history ldir less lf lk ll load_ext ls lsmagic lx
    mamba man matplotlib micromamba mkdir more mv pip popd precision pushd pwd quickref recall
    rehashx reload_ext rep rerun reset rm rmdir run set_env store tb time timeit uv who who_ls whos
    xdel xmode"""
)
_CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w+|!)[ \t]*(?P<line>[^\n]*)\n?(?P<body>.*)", re.DOTALL)
_DOLLAR = re.compile(r"(?<!\$)\$([A-Za-z_]\w*)")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_SHARED = re.compile(r"--(?:out|err|proc)[ =]+([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Magic:
    """A cell magic: its name, the rest of its line, and the cell's other lines."""

    name: str
    line: str
    body: str


def magic(source: str) -> Magic | None:
    """The cell magic that ``source`` starts with, if it does."""
    found = _CELL_MAGIC.fullmatch(source)
    return Magic(found["name"], found["line"].strip(), found["body"]) if found else None


def python_of(name: str, line: str) -> str:
    """The Python that a line magic of :data:`PYTHON_LINES` runs: its line without options.

    >>> python_of("timeit", "-n 10 -r3 -o f(x)")
    'f(x)'
    """
    valued = PYTHON_LINES.get(name, "")
    options = r"\s*-(-[\w-]+)\s*" if name == "time" else r"\s*-(-[\w-]+|\w+)\s*"
    while option := re.match(options, line):
        letters = option[1]
        line = line[option.end() :]
        if letters[0] == "-":
            continue
        takes = next((place for place, one in enumerate(letters) if one in valued), None)
        if takes is not None and takes == len(letters) - 1:
            line = line.lstrip().partition(" ")[2]
    return line.strip()


def option_names(name: str, line: str) -> list[str]:
    """Names of functions that ``%lprun -f NAME`` and ``%mprun -f NAME`` look at."""
    return re.findall(r"-f\s+([A-Za-z_]\w*)", line) if name in ("lprun", "mprun") else []


def expanded(text: str) -> list[Event]:
    """Reads of the names that IPython expands in a line: ``$name`` and ``{expression}``."""
    found = _DOLLAR.findall(text)
    try:
        fields = [(field, spec) for _, field, spec, _ in string.Formatter().parse(text)]
    except (
        ValueError
    ):  # a lonely brace: IPython leaves such a line as it is, but names may stand in it
        fields = [(part, "") for part in re.findall(r"\{([^{}]*)\}", text)]
    for field, spec in fields:
        for part in (field, spec):
            found += names_of(part or "")
    return [Event("read", name) for name in dict.fromkeys(found)]


def names_of(expression: str) -> list[str]:
    """The names in an expression's text, whether it is Python or not."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return _NAME.findall(expression)
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def line_events(name: str, line: str) -> list[Event]:
    """What a line magic does whose line is not Python."""
    label = f"%{name}"
    found = expanded(line)
    if name in _READING:
        found += _reads(names_of(line.lstrip("-").strip())[:1])
    elif name in _HISTORY:
        found.append(Event("history", label))
    elif name == "store":
        found += _store(line)
    elif name == "xdel":
        words = [word for word in line.split() if word.isidentifier()]
        found += [*_reads(words), *(Event("delete", word) for word in words)]
    elif name == "pylab":
        found += [Event("import", "numpy"), Event("import", "matplotlib.pyplot")]
        found += [Event("anything", label), Event("surroundings", label)]
    elif name in _LISTING:
        found.append(Event("everything", label))
        found += [Event("anything", label)] if name in _BINDING else []
        found += [Event("surroundings", f"{label} {line}".strip())] if name == "run" else []
    elif name in _AMBIENT:
        found.append(Event("ambient", _AMBIENT[name]))
    elif name in _SURROUNDINGS:
        found.append(Event("surroundings", f"{label} {line}".strip()))
        found += _foreign_names(name, line)
    elif name not in _PLAIN:
        found += _unknown(label)
    elif name == "watermark" and "iversions" in line:
        found.append(Event("everything", label))
    return found


def cell_events(found: Magic) -> list[Event]:
    """What a cell magic does besides what its body does, if that is Python."""
    names = _SHARED.findall(found.line)
    if found.name == "capture":
        names += [word for word in found.line.split() if word.isidentifier()][:1]
    if found.name in PYTHON_CELLS:
        return _binds(names)
    if found.name in FOREIGN_CELLS:
        text = found.line + (f"\n{found.body}" if found.name in _SHELLS else "")
        return expanded(text) + _binds(names)
    label = f"%%{found.name}"
    if found.name in ("sql", "R"):
        events = [Event("surroundings", label), Event("mention", found.body)]
        return expanded(found.line) + events + _foreign_names(found.name, found.line)
    if found.name in ("cython", "cython_pyximport"):
        return [Event("anything", label)]
    return expanded(found.line) + _unknown(label)


def is_setting(label: str) -> bool:
    """Whether the label is that of a line magic that changes its surroundings, but keeps none of
    the notebook's code there."""
    return label.startswith("%") and label[1:].partition(" ")[0] in _SURROUNDINGS


def _unknown(label: str) -> list[Event]:
    """Of a magic that is not known anything may be expected."""
    return [
        Event("everything", label),
        Event("anything", label),
        Event("surroundings", label),
    ]


def _foreign_names(name: str, line: str) -> list[Event]:
    """What the line of ``%sql`` and ``%R`` reads and binds."""
    if name == "sql":
        target = re.match(r"(?:--\w+\s+)*([A-Za-z_]\w*)\s*<<", line)
        return [Event("mention", line), *_binds([target[1]] if target else [])]
    if name == "R":
        found = []
        for option, names in re.findall(r"(?:^|\s)(-i|--input|-o|--output)[ =]+(\S+)", line):
            words = [word for word in names.split(",") if word.isidentifier()]
            found += _reads(words) if option in ("-i", "--input") else _binds(words)
        return found
    return []


def _store(line: str) -> list[Event]:
    words = line.split()
    names = [word for word in words if word.isidentifier()]
    if "-r" in words:
        return _binds(names) or [Event("anything", "%store -r")]
    if words[:1] in (["-d"], ["-z"]):
        return []
    return _reads(names) if names else [Event("everything", "%store")]


def _reads(names: Iterable[str]) -> list[Event]:
    return [Event("read", name) for name in names]


def _binds(names: Iterable[str]) -> list[Event]:
    return [Event("bind", name, value=Value()) for name in names]
