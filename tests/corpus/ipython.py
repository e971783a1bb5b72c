"""IPython's own: magics, history, display, await; and the notebook's form: tags, kinds of cells."""

from __future__ import annotations

from corpus.case import Case, Corpus

corpus = Corpus()
add = corpus.add
# fmt: off

add("capture magic", """
%%capture caught
print("inside")
x = [1]
x
---
x.append(2)
---
print(repr(caught.stdout), len(caught.outputs), x)
---
caught.show()
""")
add("capture with options and no name", """
%%capture --no-stderr
import sys
hidden = 3
print("not shown")
print("shown", file=sys.stderr)
---
hidden
""")
add("time magic", """
%%time
total = sum(range(1000))
total
---
%time squares = [n * n for n in range(3)]
---
def run():
    return total + squares[-1]
%time run()
""")
add("timeit magic", """
n = 10
---
%timeit -n 2 -r 2 sum(range(n))
---
%%timeit -n 1 -r 1 values = list(range(n))
values.sort()
---
result = %timeit -o -q -n 1 -r 1 n + 1
---
print(type(result).__name__, "values" in globals())
""")
add("shell commands", """
words = !printf 'b\\na\\n'
name = "world"
---
!echo hello {name} $name
---
words.sort()
joined = words.s
!echo "{joined}"
---
_exit_code, words
""")
add("shell command writes a file that is read", """
!echo "a,b" > made.csv && echo "1,2" >> made.csv
---
lines = open("made.csv").read().splitlines()
---
!rm made.csv
---
import os
lines, os.path.exists("made.csv")
""")
add("bash cell", """
%%bash --out text
printf 'one\\ntwo\\n' | tr a-z A-Z
---
%%bash
echo shown
---
text.split()
""")
add("script cell in another process", """
%%script python3 --out out
import sys
print("child", 1 + 1)
---
out.strip()
""")
add("line magics with results", """
names = %who_ls
here = %pwd
---
import os
alpha = 1
---
later = %who_ls int
here == os.getcwd(), later, "alpha" in names
""")
add("environment magics", """
%env CORPUS_MODE=fast
---
import os
mode = os.environ["CORPUS_MODE"]
%set_env CORPUS_MODE=slow
---
mode, os.environ["CORPUS_MODE"]
""")
add("run magic with a script", """
%%writefile helper.py
import sys
constant = 7
def scaled(x): return x * constant
if __name__ == "__main__":
    arguments = sys.argv[1:]
---
%run helper.py one two
---
constant = 70
---
scaled(2), arguments
---
%run -i helper.py
---
scaled(2), constant
""", edits={0: "%%writefile helper.py\nconstant = 8\narguments = []\ndef scaled(x): return x + constant"})  # fmt: skip # noqa: E501
add("run magic with a notebook's namespace", """
given = [1]
---
%%writefile inner.py
given.append(2)
made = len(given)
---
%run -i inner.py
---
given, made
""", edits={2: "%%writefile inner.py\ngiven.append(20)\nmade = sum(given)"})
add("module written by a cell, then imported", """
%%writefile shapes.py
print("importing shapes")
sides = {"square": 4}
def area(a): return a * a
---
import shapes
from shapes import area
---
shapes.sides["triangle"] = 3
area(3)
---
import shapes as again
print(again.sides, again is shapes)
""", edits={0: "%%writefile shapes.py\nsides = {}\ndef area(a): return a ** 3"})
add("module reloaded after a change", """
%%file config.py
value = 1
items = []
---
import config, importlib
config.items.append("old")
first = config.value
---
%%file config.py
value = 22222
items = []
---
importlib.invalidate_caches()
config = importlib.reload(config)
---
first, config.value, config.items
""", edits={0: "%%file config.py\nvalue = 1000\nitems = []", 2: "%%file config.py\nvalue = 333\nitems = ['x']"})  # fmt: skip # noqa: E501
add("file magic appending", """
%%writefile notes.txt
first
---
%%writefile -a notes.txt
second
---
print(open("notes.txt").read())
""", edits={0: "%%writefile notes.txt\nother", 1: "%%writefile -a notes.txt\nmore"})
add("history variables", """
6 * 7
---
_ + 1
---
x = _ * 2
_, __
---
x, Out[1], _2, In[2], _i1
---
len(Out), sorted(Out), _ih[1]
""")
add("numbered output used far below", """
[1, 2]
---
a = 5
---
_1.append(a)
---
_1
---
Out[1] is _1, a
""")
add("mutation of a shown value", """
rows = [1]
rows
---
Out[1].append(2)
---
rows, _1 is rows
""")
add("history magic and rerun", """
k = 2
k * 10
---
%history -n 1
---
%rerun 1
---
k, _
""")
add("display handle updated later", """
from IPython.display import display
handle = display("waiting", display_id="progress")
---
total = 3
---
handle.update(f"done {total}")
---
display("other", display_id="second");
---
from IPython.display import update_display
update_display({"n": total}, display_id="second")
""")
add("clear_output", """
from IPython.display import clear_output, display
print("gone")
clear_output()
print("stays")
---
for n in range(3):
    clear_output(wait=True)
    print("round", n)
---
display("shown"); print("text")
""")
add("html, latex, json, svg and markdown", """
from IPython.display import HTML, JSON, SVG, Javascript, Latex, Markdown, Math, display
parts = ["<b>bold</b>"]
---
HTML("".join(parts))
---
display(Latex(r"$\\alpha$"), Math("x^2"), Markdown("*m*"), JSON({"a": [1]}))
---
parts.append("<i>x</i>")
display(SVG('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'))
---
display(HTML("".join(parts)), metadata={"isolated": True})
""")
add("custom representations", """
class Table:
    def __init__(self, rows): self.rows = rows
    def _repr_html_(self): return f"<table>{len(self.rows)} {title}</table>"
    def _repr_markdown_(self): return "|a|"
    def __repr__(self): return f"Table {self.rows}"
title = "t"
---
table = Table([1])
table
---
title = "changed"
table.rows.append(2)
---
table
---
class Bundle:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"application/x-mine+json": {"n": len(table.rows)}, "text/plain": "bundle"}
Bundle()
""")
add("representation that changes what it shows", """
class Shy:
    def __init__(self): self.shown = 0
    def __repr__(self):
        self.shown += 1
        return f"shown {self.shown} times"
shy = Shy()
---
shy
---
shy
---
shy.shown
""")
add("formatter registered for a type", """
class Celsius:
    def __init__(self, n): self.n = n
reading = Celsius(20)
---
formatter = get_ipython().display_formatter.formatters["text/plain"]
formatter.for_type(Celsius, lambda obj, p, cycle: p.text(f"{obj.n} deg"))
---
reading
---
formatter.pop(Celsius)
type(reading).__name__
""")
add("cell and line magic defined in the notebook", """
from IPython.core.magic import register_cell_magic, register_line_magic
@register_line_magic
def twice(line):
    return line + line
@register_cell_magic
def shout(line, cell):
    print(cell.upper().strip(), line)
---
%twice ab
---
%%shout now
quiet words
---
got = %twice x
got
""", edits={0: ""})
add("extension and hooks registered", """
seen = []
def note(info):
    seen.append(info.raw_cell[:5])
get_ipython().events.register("pre_run_cell", note)
---
a = 1
---
get_ipython().events.unregister("pre_run_cell", note)
---
b = 2
---
print(seen)
""")
add("precision and pprint magics", """
import math
---
%precision 3
---
math.pi
---
%precision
math.pi
---
%pprint
list(range(3))
""")
add("config magic", """
x = 3
---
%config InteractiveShell.ast_node_interactivity = "all"
---
x
x + 1
---
%config InteractiveShell.ast_node_interactivity = "last_expr"
---
x
x + 2
""")
add("interactive help", """
def documented(a, b=2):
    "Adds."
    return a + b
---
documented?
---
import os.path
?documented
---
documented(1)
""")
add("automagic", """
import os
---
cd -q sub
---
there = os.path.exists("inner.txt")
---
cd -q -
---
there, os.path.exists("inner.txt")
""", files={"sub/inner.txt": "x"}, edits={1: "cd -q .", 3: ""})
add("top-level await", """
import asyncio
async def fetch(n):
    await asyncio.sleep(0)
    return n * 2
---
got = await fetch(2)
---
results = await asyncio.gather(*[fetch(n) for n in range(got)])
---
results
""")
add("task awaited in a later cell", """
import asyncio
log = []
async def work(n):
    for i in range(n):
        log.append(i)
        await asyncio.sleep(0)
    return sum(log)
task = asyncio.create_task(work(3))
---
between = "set"
---
result = await task
---
result, log, task.done(), between
""")
add("async generator across cells", """
async def ticks():
    n = 0
    while True:
        yield n
        n += 1
stream = ticks()
first = await stream.__anext__()
---
second = await anext(stream)
---
more = []
async for value in stream:
    more.append(value)
    if value > 3:
        break
---
first, second, more
""")
add("async with, lock and event loop kept", """
import asyncio
lock, queue = asyncio.Lock(), asyncio.Queue()
loop = asyncio.get_running_loop()
---
async with lock:
    await queue.put("a")
---
queue.put_nowait("b")
---
await queue.get(), queue.qsize(), lock.locked(), loop is asyncio.get_running_loop()
""")
add("callback scheduled on the loop", """
import asyncio
fired = []
event = asyncio.Event()
asyncio.get_running_loop().call_soon(lambda: (fired.append(name), event.set()))
name = "late"
---
await event.wait()
---
fired
""")
add("context variables", """
import contextvars
mode = contextvars.ContextVar("mode", default="plain")
token = mode.set("fancy")
---
ctx = contextvars.copy_context()
seen = mode.get()
---
ctx.run(mode.set, "inner")
---
seen, ctx[mode], mode.get()
""")
add("cell that fails on purpose", """
data = [1, 2]
---
[raises-exception]
data.append(3)
partial = sum(data)
1 / 0
never = True
---
partial, data, "never" in globals()
""")
add("failing cell with a syntax error on purpose", """
x = 1
---
[raises-exception]
x = 2
y = = 3
---
x
""")
add("failing cell in the middle of a shared list", """
log = []
def risky(n):
    log.append(n)
    if n == 2:
        raise RuntimeError(f"at {n}")
---
[raises-exception]
for n in range(5):
    risky(n)
---
import sys
print(log, n, sys.last_value if hasattr(sys, "last_value") else None)
""")
add("KeyboardInterrupt on purpose", """
steps = []
---
[raises-exception]
steps.append("a")
raise KeyboardInterrupt("stop")
---
steps.append("b")
steps
""")
add("SystemExit ends the notebook", """
print("before")
x = 1
---
import sys
x = 2
sys.exit(0)
---
print("never", x)
""")
add("SystemExit with an error code", """
print("before")
---
raise SystemExit("no data")
---
print("never")
""")
add("failing notebook stops at its cell", """
values = {"a": 1}
print("loaded")
---
def pick(key):
    return values[key]
---
pick("b")
---
print("never")
""")
add("warnings shown once", """
import warnings
def old():
    warnings.warn("old is old", UserWarning)
    return 1
---
old()
---
old(); old()
---
warnings.warn("from the cell")
""")
add("once-only warning registry", """
import warnings
warnings.simplefilter("once")
---
def noisy(): warnings.warn("just once", FutureWarning)
noisy()
---
noisy()
---
print("end"); noisy()
""")
add("stdout and stderr", """
import sys
print("to stdout")
print("to stderr", file=sys.stderr)
---
sys.stdout.write("no newline")
---
print("more", end="\\r")
print("over")
print("\\x1b[31mred\\x1b[0m", file=sys.stderr)
""")
add("stdout redirected over cells", """
import contextlib, io, sys
class Caught(io.StringIO): pass
caught = Caught()
stack = contextlib.ExitStack()
stack.enter_context(contextlib.redirect_stdout(caught))
print("hidden one")
---
print("hidden two")
---
stack.close()
print("goes where the stream last was")
---
print("visible", repr(caught.getvalue()))
""")
add("long output", """
lines = 3000
---
for n in range(lines):
    print(n, "x" * 20)
---
list(range(lines))
---
"y" * 5000
""")
add("many outputs of one cell", """
from IPython.display import display
items = [1, "two", {"three": 3}]
---
for item in items:
    print("next")
    display(item)
items
---
display(*items); items.clear()
---
items
""")
add("semicolon hides the result", """
x = [3]
x
---
x;
---
x.append(4); x
---
"quoted ;"
""")
add("tqdm bars", """
from tqdm.auto import tqdm
from tqdm import tqdm as plain, trange
done = []
---
for n in plain(range(4), desc="work"):
    done.append(n)
---
for n in trange(3, leave=False):
    done.append(n)
---
with plain(total=10) as bar:
    bar.update(4); bar.update(6)
---
print(done)
""")
add("progress by carriage return", """
import sys
for n in range(5):
    print(f"\\rstep {n}", end="")
---
sys.stdout.write("\\rdone\\n"); n
""")
add("widgets", """
import ipywidgets as widgets
slider = widgets.IntSlider(value=3, max=9)
changes = []
slider.observe(lambda change: changes.append(change["new"]), names="value")
---
slider
---
slider.value = 7
---
label = widgets.Label()
widgets.link((slider, "value"), (label, "value"), transform=(str, int))
slider.value = 5
---
slider.value, changes, label.value
""")
add("widgets in containers", """
import ipywidgets as widgets
box = widgets.VBox([widgets.Checkbox(description="on"), widgets.Text("a")])
---
box.children[1].value = "b"
box
---
box.children = box.children[:1]
box.layout.width = "50%"
---
[w.value for w in box.children], box.children[0].description, box
""")

# --- the notebook's form ---

add("headings make steps", """
# Title
---
a = [1]
---
## Load
---
a.append(2)
---
b = len(a)
---
### Detail
---
c = b + 1
---
## Report
---
a, b, c
""")
add("step tags", """
[step:load]
rows = [1, 2, 3]
---
rows.append(4)
---
[step:count]
n = len(rows)
---
[step:show]
rows.pop(); n, rows
""")
add("step magic", """
%load_ext mlops_jupyter
---
%%step load
rows = [1, 2]
rows
---
rows.append(3)
---
%%step sum
total = sum(rows)
---
%%step show
total, rows
""", edits={1: "%%step load\nrows = [10, 2]\nrows", 3: "%%step sum\ntotal = max(rows)"})
add("marks, headings and cells mixed", """
# A title
---
x = 1
---
[step:one]
x += 1
---
## A heading that does not cut
---
y = x * 10
---
%load_ext mlops_jupyter
---
%%step two
z = [x, y]
---
z
""", edits={5: "", 6: "%%step two\nz = [x, y, 0]"})
add("parameters", """
[parameters]
rows: int = 3  # how many
label = "a"
---
data = [label] * rows
---
## Not read by rows
---
other = label.upper()
---
data, other
""", parameters={"rows": 5})
add("parameters used by defaults and functions", """
base = 10
---
[parameters]
alpha: float = 0.5
names: list = ["x"]
---
def scaled(v, by=alpha): return v * by + base
---
names.append("y")
scaled(2), scaled(2, 1), names
""", parameters={"alpha": 2.0, "names": ["p", "q"]})
add("cells left out", """
x = 1
---
[skip]
x = "never"
---
[skip-execution]
raise RuntimeError("never")
---
x += 1
x
""")
corpus["kinds of cells"] = Case(
    "kinds of cells",
    (
        ("raw", "raw text, not run: 1/0"),
        "",
        "   \n  ",
        "# Only markdown here",
        ("comment", "# just a comment, which is code"),
        "x = 1  # ends with a comment",
        ("markdown", "No heading.\n\n```python\nx = 100\n```"),
        "\n\nx + 1\n# after",
        "",
        "'''only\na string'''",
    ),
)
corpus["no code at all"] = Case(
    "no code at all",
    ("# Title", ("markdown", "Some text."), ("raw", "raw")),
)
corpus["no cells at all"] = Case("no cells at all", ())
corpus["empty cells only"] = Case("empty cells only", ("", "  ", ""))
corpus["metadata of cells"] = Case(
    "metadata of cells",
    ("x = [1]", "x.append(2)\nx", "x"),
    metadata={
        0: {"collapsed": True, "jupyter": {"source_hidden": True}},
        1: {"tags": ["hide-input"], "slideshow": {"slide_type": "slide"}},
        2: {"scrolled": "auto", "custom": {"a": [1]}},
    },
)
corpus["comment-only code cells"] = Case(
    "comment-only code cells",
    ("x = 1\nx", ("comments", "# nothing but\n# comments"), "x + 1", ("magic", "# %time\npass")),
)
add("tags on cells in the middle of steps", """
## Load
---
[cache]
rows = [1, 2]
---
[hide-output,cache]
rows.append(3)
rows
---
## Use
---
[retries:2,timeout:60]
total = sum(rows)
---
total
""")
add("names of steps alike", """
## Run
---
x = 1
---
## Run
---
x += 1
---
## run!
---
x
""")

# --- refused before anything runs ---

add("input() is refused", """
open("ran.txt", "w").write("x")
---
name = input("Who? ")
---
name
""", refused=r"input")
add("getpass is refused", """
from getpass import getpass
---
secret = getpass("Password: ")
""", refused=r"getpass|input")
add("python 2 print is refused", """
x = 1
---
print "x is", x
""", refused=r"cell 2, line 1")
add("python 2 except is refused", """
ok = True
---
try:
    1 / 0
except ZeroDivisionError, e:
    print(e)
""", refused=r"cell 2, line 3")
add("syntax error is refused", """
x = 1
---
def broken(:
    pass
""", refused=r"cell 2, line 1")
