"""What may differ between two runs of one notebook without meaning anything: named rules.

Each rule takes text and gives it back with the volatile part replaced by a fixed word; whatever no
rule names has to be equal. :func:`plain` applies those for text, :func:`markup` those for HTML, SVG
and JavaScript, where libraries number or draw the names of elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Rule = Callable[[str], str]

_ADDRESS = re.compile(r"(?<=\bat )0x[0-9a-fA-F]{4,16}\b|\b0x[0-9a-fA-F]{9,16}\b")
_KERNEL_FILE = re.compile(r"[^\s'\"()<>\x1b]*ipykernel_\d+/\d+\.py")
_CPU_TIMES = re.compile(r"^CPU times: .*$", re.MULTILINE)
_WALL_TIME = re.compile(r"^Wall time: .*$", re.MULTILINE)
_COMPILING = re.compile(r"^(?:Compiler|Parser) *: .*\n?", re.MULTILINE)
_TIMEIT = re.compile(
    r"[\d.]+ \S+ ± [\d.]+ \S+ per loop \(mean ± std\. dev\. of (\d+) runs?, [\d,]+ loops? each\)"
)
_SLOWEST = re.compile(r"The slowest run took [\d.]+ times longer than the fastest\.[^\n]*\n?")
_BAR = re.compile(
    r"(?P<title>[^\r\n|]*?)(?:(?P<share>\d+%)\|[^|\r\n]*\| *(?P<count>[^\[\r\n]*)"
    r"|(?P<plain>\b\d+\w* ?))\[[\d:?]+(?:<[\d:?]+)?,[^,\]\r\n]*(?P<note>[^\]\r\n]*)\][^\r\n]*"
)
_CURSOR = re.compile(r"\x1b\[[AK]")
_ELAPSED = re.compile(r"\b(elapsed:|total time=) *[\d.]+ ?(?:s|min)\b")
_PER_STEP = re.compile(r"\b\d+m?s(?: \d+[mu]?s)?/(step|epoch)\b")
_LOG_TIME = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\b")
_ELEMENT = re.compile(
    r"""[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}  # uuid: plotly, bokeh
    |\bT_[0-9a-f]{5}(?![0-9a-f])                                    # pandas Styler
    |\bsk-(?:container|estimator)-id-\d+                            # scikit-learn
    |\b(?:altair-viz-|IPY_MODEL_)[0-9a-f]{32}\b                     # altair, ipywidgets
    |(?<=[\"#_])(?:[a-z]|image)[0-9a-f]{10}(?=[\")_])               # matplotlib's SVG""",
    re.VERBOSE,
)
_SVG_DATE = re.compile(r"<dc:date>[^<]*</dc:date>")


def memory_addresses(text: str) -> str:
    """``<object at 0x7f...>``: where an object lies in memory."""
    return _ADDRESS.sub("0x…", text)


def kernel_files(text: str) -> str:
    """``/tmp/ipykernel_123/456.py``: the name ipykernel gives a cell has the temporary folder and
    the process's number in it, and one of the cell's text, comments included."""
    return _KERNEL_FILE.sub("ipykernel_….py", text)


def measured_times(text: str) -> str:
    """What ``%time`` and ``%%time`` measured."""
    text = _COMPILING.sub("", _CPU_TIMES.sub("CPU times: …", text))
    return _WALL_TIME.sub("Wall time: …", text)


def timeit_results(text: str) -> str:
    """What ``%timeit`` measured, and how many loops it chose for that."""
    return _SLOWEST.sub("", _TIMEIT.sub(r"… per loop (mean ± std. dev. of \1 runs)", text))


def progress_bars(text: str) -> str:
    """tqdm's bars: speed, time and which states were drawn. The last state of each bar stays."""
    if not _BAR.search(text):
        return text
    last: dict[str, str] = {}
    for found in _BAR.finditer(text):
        title = _CURSOR.sub("", found["title"]).strip()
        count = (found["count"] or found["plain"]).strip()
        last[title] = f"{title} {found['share'] or ''} {count}{found['note']}"
    rest = _CURSOR.sub("", _BAR.sub("", text)).replace("\r", "\n")
    lines = [line for line in rest.split("\n") if line.strip()]
    return "\n".join([*lines, *last.values()])


def elapsed_times(text: str) -> str:
    """Times that joblib, scikit-learn and Keras report in what they print."""
    return _PER_STEP.sub(r"…/\1", _ELAPSED.sub(r"\1 …", text))


def log_times(text: str) -> str:
    """The time at which a line was logged (``%(asctime)s``, which has a comma before the ms)."""
    return _LOG_TIME.sub("…", text)


def element_ids(text: str) -> str:
    """Names of elements that libraries draw at random or number in the order of showing; each
    becomes its place among them, so that what refers to what still counts."""
    seen: dict[str, str] = {}
    return _ELEMENT.sub(lambda found: seen.setdefault(found[0], f"id-{len(seen) + 1}"), text)


def svg_dates(text: str) -> str:
    """The date matplotlib writes into an SVG."""
    return _SVG_DATE.sub("<dc:date>…</dc:date>", text)


TEXT_RULES: tuple[Rule, ...] = (
    memory_addresses,
    kernel_files,
    measured_times,
    timeit_results,
    progress_bars,
    elapsed_times,
    log_times,
)
MARKUP_RULES: tuple[Rule, ...] = (memory_addresses, kernel_files, element_ids, svg_dates)


def plain(text: str, folder: str = "") -> str:
    """Text without what is volatile; ``folder`` is the copy of the workspace it was run in."""
    return _apply(TEXT_RULES, text, folder)


def markup(text: str, folder: str = "") -> str:
    """HTML, SVG or JavaScript without what is volatile, as :func:`plain` does."""
    return _apply(MARKUP_RULES, text, folder)


def _apply(rules: tuple[Rule, ...], text: str, folder: str) -> str:
    if folder:
        text = text.replace(folder, "…")
    for rule in rules:
        text = rule(text)
    return text
