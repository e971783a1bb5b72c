"""Files, the process's state, other processes, threads, connections."""

from __future__ import annotations

from corpus.case import Corpus

corpus = Corpus()
add = corpus.add
# fmt: off

MODULE = """
import os
print("importing tools")
calls = []
def double(x):
    calls.append(x)
    return 2 * x
def setting():
    return os.environ.get("CORPUS_SETTING", "unset")
"""

SHOP = """
class Cart:
    limit = 5
    def __init__(self):
        self.items = []
    def add(self, x):
        if len(self.items) < self.limit:
            self.items.append(x)
        return self.items
"""

# --- files ---

add("edge only through a file", """
with open("numbers.txt", "w") as target:
    target.write("1 2 3")
---
print("something else")
---
numbers = [int(n) for n in open("numbers.txt").read().split()]
sum(numbers)
""", edits={0: 'with open("numbers.txt", "w") as target:\n    target.write("10 20")'})
add("input file beside the notebook", """
import csv
rows = list(csv.DictReader(open("data/in.csv")))
---
total = sum(int(row["n"]) for row in rows)
---
total, rows[0]
""", files={"data/in.csv": "n,name\n1,a\n2,b\n"})
add("csv appended in two steps", """
import csv
with open("log.csv", "w", newline="") as target:
    csv.writer(target).writerow(["step", "n"])
---
with open("log.csv", "a", newline="") as target:
    csv.writer(target).writerow(["one", 1])
---
with open("log.csv", "a", newline="") as target:
    csv.writer(target).writerow(["two", 2])
---
print(open("log.csv").read())
""")
add("file that grows with each run", """
with open("history.txt", "a") as target:
    target.write("run\\n")
---
runs = len(open("history.txt").readlines())
---
runs
""", files={"history.txt": "first\n"})
add("file overwritten in place", """
from pathlib import Path
path = Path("state.txt")
path.write_text("one")
---
first = path.read_text()
path.write_text(first + " two")
---
with open(path, "r+") as target:
    target.seek(0); target.write("ONE")
---
first, path.read_text()
""")
add("input file changed by the notebook itself", """
text = open("in.txt").read()
---
open("in.txt", "w").write(text.upper())
---
open("in.txt").read()
""", files={"in.txt": "quiet"})
add("file deleted in a later step", """
open("tmp.txt", "w").write("here")
---
import os
there = os.path.exists("tmp.txt")
---
os.remove("tmp.txt")
---
there, os.path.exists("tmp.txt"), sorted(n for n in os.listdir(".") if n.endswith(".txt"))
""")
add("absent file makes another branch", """
import os
mode = "cached" if os.path.exists("cache.bin") else "computed"
---
if mode == "computed":
    open("cache.bin", "wb").write(b"result")
---
mode, open("cache.bin", "rb").read()
""")
add("directory listing and glob", """
import glob, os, pathlib
before = sorted(os.listdir("parts"))
---
open("parts/c.txt", "w").write("c")
---
after = sorted(glob.glob("parts/*.txt"))
---
found = [p.name for p in sorted(pathlib.Path("parts").iterdir())]
---
before, after, found, sorted(e.name for e in os.scandir("parts"))
""", files={"parts/a.txt": "a", "parts/b.txt": "b"})
add("folders made, moved and removed", """
import os, shutil
os.makedirs("out/deep/er")
open("out/deep/er/x.txt", "w").write("x")
---
shutil.copytree("out/deep", "copy")
os.rename("out/deep/er/x.txt", "out/y.txt")
---
shutil.rmtree("out/deep")
os.mkdir("empty")
---
sorted(os.path.join(d, f) for d, _, fs in os.walk(".") for f in fs if f.endswith(".txt"))
""")
add("relative path after chdir", """
import os
os.makedirs("sub", exist_ok=True)
os.chdir("sub")
---
open("made.txt", "w").write("in sub")
---
os.chdir("..")
---
open("sub/made.txt").read(), os.path.basename(os.getcwd()) == "sub"
""")
add("leaked file handle", """
handle = open("log.txt", "w")
handle.write("first ")
---
handle.write("second ")
---
handle.flush()
seen = open("log.txt").read()
---
handle.close()
seen, open("log.txt").read(), handle.closed
""")
add("iteration over a file across steps", """
source = open("lines.txt")
header = next(source)
---
first = source.readline()
---
rest = list(source)
source.close()
header, first, rest
""", files={"lines.txt": "header\na\nb\nc\n"})
add("temporary files", """
import os, tempfile
folder = tempfile.mkdtemp()
path = os.path.join(folder, "part.txt")
open(path, "w").write("temporary")
---
text = open(path).read()
---
named = tempfile.NamedTemporaryFile("w+", suffix=".txt")
named.write(text); named.flush()
---
named.seek(0)
print(named.read(), os.path.exists(named.name))
---
import shutil
shutil.rmtree(folder); named.close()
os.path.exists(path), os.path.exists(named.name)
""")
add("temporary directory object", """
import os, tempfile
scratch = tempfile.TemporaryDirectory()
open(os.path.join(scratch.name, "a"), "w").write("a")
---
names = os.listdir(scratch.name)
---
scratch.cleanup()
names, os.path.exists(scratch.name)
""")
add("zip and tar archives", """
import shutil, tarfile, zipfile
info = zipfile.ZipInfo("a.txt", (2024, 1, 1, 0, 0, 0))
with zipfile.ZipFile("packed.zip", "w") as archive:
    archive.writestr(info, "content")
---
shutil.unpack_archive("packed.zip", "unpacked")
---
archive = zipfile.ZipFile("packed.zip")
names = archive.namelist()
---
names, archive.read("a.txt"), open("unpacked/a.txt").read()
""")
add("gzip, json and pickle files", """
import gzip, json, pickle
class Record:
    def __init__(self, n): self.n = n
with gzip.GzipFile("data.gz", "wb", mtime=0) as target:
    target.write(b"packed")
json.dump({"a": [1, 2]}, open("data.json", "w"))
pickle.dump([Record(1), Record(2)], open("data.pkl", "wb"))
---
records = pickle.load(open("data.pkl", "rb"))
---
records[0].n = 10
gzip.open("data.gz").read(), json.load(open("data.json")), [r.n for r in records]
""")
add("shelve and dbm", """
import dbm.dumb, shelve
book = shelve.Shelf(dbm.dumb.open("book", "n"))
book["a"] = [1]
---
book["b"] = {"x": book["a"]}
---
book.close()
---
again = shelve.Shelf(dbm.dumb.open("book", "r"))
print(sorted(again), again["b"])
again.close()
""")
add("sqlite connection kept open", """
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("create table t (n integer, name text)")
---
db.execute("insert into t values (1, 'a')")
---
cursor = db.execute("select * from t")
row = cursor.fetchone()
---
db.execute("insert into t values (2, 'b')")
row, db.execute("select count(*) from t").fetchone()
""")
add("sqlite file written and read", """
import sqlite3
with sqlite3.connect("shop.db") as db:
    db.execute("create table if not exists item (name text)")
    db.execute("insert into item values ('apple')")
db.close()
---
names = sqlite3.connect("shop.db").execute("select name from item").fetchall()
---
db = sqlite3.connect("shop.db")
db.execute("insert into item values ('pear')"); db.commit(); db.close()
---
names, sqlite3.connect("shop.db").execute("select count(*) from item").fetchone()
""")
add("sqlite transaction open over cells", """
import sqlite3
db = sqlite3.connect("bank.db")
db.execute("create table account (n integer)")
db.commit()
---
db.execute("insert into account values (5)")
---
other = sqlite3.connect("bank.db").execute("select count(*) from account").fetchone()
---
db.rollback()
print(other, db.execute("select count(*) from account").fetchone())
db.close()
""")
add("symbolic link and permissions", """
import os, stat
open("target.sh", "w").write("#!/bin/sh\\necho ran")
os.chmod("target.sh", 0o755)
os.symlink("target.sh", "link.sh")
---
out = os.popen("./link.sh").read()
---
os.remove("link.sh")
out, stat.S_IMODE(os.stat("target.sh").st_mode) == 0o755, os.path.islink("link.sh")
""")
add("mmap of a file", """
import mmap
open("block.bin", "wb").write(bytes(16))
---
handle = open("block.bin", "r+b")
block = mmap.mmap(handle.fileno(), 0)
block[0:3] = b"abc"
---
block[3] = 100
block.flush()
---
open("block.bin", "rb").read()[:5], bytes(block[:4])
""")

# --- modules ---

add("local module imported", """
import tools
from tools import double
---
values = [double(n) for n in range(3)]
---
tools.calls.append("mine")
---
values, tools.calls, double is tools.double
""", files={"tools.py": MODULE})
add("local package with relative imports", """
from kit import core
---
core.register("a")
---
from kit.core import names
from kit import sub
sub.add("b")
---
names, core.names is sub.names
""", files={
    "kit/__init__.py": "print('kit')\n",
    "kit/core.py": "names = []\ndef register(n):\n    names.append(n)\n",
    "kit/sub.py": "from .core import names, register\ndef add(n):\n    register(n * 2)\n",
})
add("path edited, then imported", """
import sys
sys.path.insert(0, "lib")
---
import deep_tool
---
deep_tool.setting = 5
---
sys.path.remove("lib")
---
import deep_tool as again
again.setting, again.value(), "lib" in sys.path
""", files={"lib/deep_tool.py": "setting = 1\ndef value():\n    return setting * 2\n"})
add("module made at run time", """
import sys, types
made = types.ModuleType("made_up")
exec("items = []\\ndef put(x): items.append(x)", made.__dict__)
sys.modules["made_up"] = made
---
import made_up
made_up.put(1)
---
from made_up import items, put
put(2)
items, made.items is items
""")
add("module removed and imported again", """
import sys
import tools
tools.calls.append(1)
---
del sys.modules["tools"]
---
import tools as fresh
---
print(tools.calls, fresh.calls, tools is fresh)
""", files={"tools.py": MODULE})
add("star import from a local module", """
from tools import *
---
double(4)
---
calls.append("x")
---
import tools
tools.calls, calls is tools.calls
""", files={"tools.py": MODULE})
add("instance of a class from a local module", """
from shop import Cart
cart = Cart()
---
cart.add("apple")
---
Cart.limit = 1
---
cart.add("pear")
""", files={"shop.py": SHOP})

# --- the process's state ---

add("environment variable set", """
import os
os.environ["CORPUS_SETTING"] = "fast"
---
import tools
first = tools.setting()
---
os.environ["CORPUS_SETTING"] = "slow"
---
second = tools.setting()
del os.environ["CORPUS_SETTING"]
---
first, second, tools.setting()
""", files={"tools.py": MODULE})
add("environment variable read by a child", """
import os, subprocess, sys
os.environ["CORPUS_CHILD"] = "one"
code = "import os; print(os.environ.get('CORPUS_CHILD'))"
---
first = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
---
os.environ.pop("CORPUS_CHILD")
---
second = subprocess.check_output([sys.executable, "-c", code], text=True)
first, second
""")
add("working folder changed and kept", """
import os
os.makedirs("here/there")
%cd -q here
---
open("a.txt", "w").write("a")
---
os.chdir("there")
---
sorted(os.listdir("..")), os.path.basename(os.getcwd())
""")
add("legacy random state", """
import random
import numpy as np
random.seed(1)
np.random.seed(2)
---
a = random.random(), np.random.rand()
---
b = random.gauss(0, 1), np.random.normal(size=2)
---
a, b, random.randint(0, 100), np.random.permutation(4)
""")
add("random numbers drawn by a function of another step", """
import random
random.seed(5)
def draw():
    return random.randint(0, 10 ** 6)
---
first = draw()
---
print("no draw here")
---
second = [draw() for _ in range(2)]
---
first, second, draw()
""")
add("seeded anew with the seed that it has", """
import random
random.seed(3)
---
random.seed(3)
---
print(random.random())
random.seed(3)
---
again = random.seed
---
again(3)
---
def restart():
    random.seed(3)
---
restart()
---
nothing = 1
---
random.random()
""")
add("seeded anew by a module", """
import random
random.seed(3)
---
%%file seeding.py
import random
def restart():
    random.seed(3)
---
import seeding
---
seeding.restart()
---
random.random()
""")
add("seeded shuffle in place", """
import random
deck = list(range(8))
same = deck
random.seed("corpus")
---
random.shuffle(deck)
---
hand = random.sample(deck, 3)
---
same, hand, random.choice(deck)
""")
add("Random instance shared", """
import random
rng = random.Random(3)
class Die:
    def __init__(self, rng): self.rng = rng
    def roll(self): return self.rng.randint(1, 6)
red, blue = Die(rng), Die(rng)
---
rolls = [red.roll()]
---
rolls += [blue.roll(), red.roll()]
---
rolls, rng.random(), red.rng is blue.rng
""")
add("warnings filter", """
import warnings
warnings.filterwarnings("ignore", message="quiet")
---
warnings.warn("quiet please")
warnings.warn("loud please")
---
warnings.simplefilter("error")
---
[raises-exception]
warnings.warn("now an error")
---
warnings.resetwarnings()
warnings.warn("again only shown")
""")
add("decimal precision", """
from decimal import Decimal, getcontext, localcontext, ROUND_DOWN
getcontext().prec = 5
---
a = Decimal(1) / Decimal(3)
getcontext().rounding = ROUND_DOWN
---
with localcontext() as ctx:
    ctx.prec = 20
    b = Decimal(2) / Decimal(3)
---
a, b, Decimal(2) / Decimal(3)
""")
add("locale", """
import locale
before = locale.setlocale(locale.LC_NUMERIC)
chosen = locale.setlocale(locale.LC_ALL, "C.UTF-8")
---
locale.setlocale(locale.LC_TIME, "C")
---
before, chosen, locale.setlocale(locale.LC_TIME), locale.format_string("%.2f", 1234.5)
""")
add("recursion limit and switch interval", """
import sys
before = sys.getrecursionlimit()
sys.setrecursionlimit(before + 4000)
sys.setswitchinterval(0.01)
---
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)
---
depth(before + 500) == before + 500, sys.getrecursionlimit() - before, sys.getswitchinterval()
""", edits={0: ""})
add("hooks of sys", """
import sys
shown = []
previous = sys.displayhook
def hook(value):
    shown.append(value)
    previous(value)
sys.displayhook = hook
sys.settrace(None)
---
1 + 1
---
sys.displayhook = previous
---
len(shown), sys.gettrace()
""")
add("signal handler", """
import os, signal
got = []
old = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(label))
label = "first"
---
os.kill(os.getpid(), signal.SIGUSR1)
---
label = "second"
os.kill(os.getpid(), signal.SIGUSR1)
---
signal.signal(signal.SIGUSR1, old)
got
""")
add("atexit", """
import atexit
def bye():
    open("bye.txt", "w").write(f"bye {count}")
atexit.register(bye)
count = 1
---
count += 1
---
import os
os.path.exists("bye.txt"), count
""")
add("logging handlers and levels", """
import io, logging
buffer = io.StringIO()
logger = logging.getLogger("corpus")
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler(buffer))
logger.propagate = False
---
logger.info("loaded %d", 3)
logger.debug("not shown")
---
logging.getLogger("corpus").setLevel("DEBUG")
logger.debug("shown now")
---
print(buffer.getvalue(), [type(h).__name__ for h in logger.handlers])
""")
add("basicConfig and a log file", """
import logging
logging.basicConfig(filename="run.log", level="WARNING", format="%(levelname)s:%(message)s",
                    force=True)
---
logging.info("no")
logging.warning("one")
---
logging.getLogger("x.y").error("two")
---
logging.shutdown()
open("run.log").read()
""")
add("logging to the cell's stderr", """
import logging, sys
logging.basicConfig(stream=sys.stderr, level="INFO", format="%(name)s %(message)s", force=True)
log = logging.getLogger("steps")
---
log.info("first")
---
log.warning("second")
""")
add("garbage collector and tracing switched", """
import gc
gc.disable()
gc.freeze()
---
class Loop: pass
a = Loop(); a.me = a
---
gc.isenabled(), gc.get_threshold()
---
gc.enable(); gc.unfreeze()
gc.isenabled()
""")
add("elapsed time across steps", """
import time
start, ticks = time.perf_counter(), time.monotonic()
---
x = sum(range(1000))
---
took = time.perf_counter() - start
---
0 <= took < 3600, time.monotonic() >= ticks
""")
add("process id remembered", """
import os
pid = os.getpid()
---
x = 1
---
pid == os.getpid(), x
""")

# --- threads, processes, connections ---

add("thread joined in another step", """
import threading
results = []
gate = threading.Event()
def work():
    gate.wait()
    results.append(payload)
thread = threading.Thread(target=work)
thread.start()
---
payload = "late"
---
gate.set()
---
thread.join()
results, thread.is_alive()
""")
add("thread changes a list while cells run", """
import queue, threading
inbox, done = queue.Queue(), []
def consume():
    while (item := inbox.get()) is not None:
        done.append(item * 10)
        inbox.task_done()
    inbox.task_done()
worker = threading.Thread(target=consume, daemon=True)
worker.start()
---
inbox.put(1); inbox.join()
---
inbox.put(2); inbox.join()
---
inbox.put(None); worker.join()
done
""")
add("executor kept open", """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
future = pool.submit(pow, 2, 10)
---
factor = 3
more = list(pool.map(lambda x: x * factor, range(4)))
---
pool.shutdown()
future.result(), more
""")
add("thread-local and locks", """
import threading
local, lock = threading.local(), threading.RLock()
local.value = ["main"]
lock.acquire()
---
seen = []
def look():
    seen.append((hasattr(local, "value"), lock.acquire(blocking=False)))
t = threading.Thread(target=look); t.start(); t.join()
---
lock.release()
local.value, seen
""")
add("multiprocessing pool", """
import multiprocessing
from tools import double
context = multiprocessing.get_context("fork")
---
with context.Pool(2) as pool:
    doubled = pool.map(double, range(4))
---
pool = context.Pool(1)
---
later = pool.apply(double, (21,))
pool.close(); pool.join()
---
doubled, later
""", files={"tools.py": MODULE}, slow=True)
add("forked process with a notebook function", """
import multiprocessing
context = multiprocessing.get_context("fork")
def job(n, out):
    out.put((n, scale * n))
---
scale = 5
queue = context.Queue()
---
process = context.Process(target=job, args=(3, queue))
process.start()
---
answer = queue.get()
process.join()
answer, process.exitcode
""")
add("subprocess writes a file", """
import subprocess, sys
subprocess.run([sys.executable, "-c", "open('child.txt', 'w').write('by child')"], check=True)
---
text = open("child.txt").read()
---
text
""")
add("subprocess kept running", """
import subprocess, sys
code = "import sys\\nfor line in sys.stdin: print(line.upper(), end='')"
child = subprocess.Popen([sys.executable, "-u", "-c", code],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
---
child.stdin.write("hello\\n"); child.stdin.flush()
first = child.stdout.readline()
---
child.stdin.write("again\\n"); child.stdin.close()
second = child.stdout.read()
---
child.wait(), first, second
""")
add("socket and server of its own", """
import http.server, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(reply.encode())
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
reply = "one"
---
url = f"http://127.0.0.1:{server.server_port}/"
first = urllib.request.urlopen(url).read()
---
reply = "two"
---
second = urllib.request.urlopen(url).read()
server.shutdown(); server.server_close()
first, second
""", edits={0: ""})
add("pipe between cells", """
import os
read_end, write_end = os.pipe()
os.write(write_end, b"through ")
---
os.write(write_end, b"the pipe")
---
os.close(write_end)
text = os.read(read_end, 100)
---
os.close(read_end)
text
""")
