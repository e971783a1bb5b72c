"""Names, aliases, mutation, scopes and objects of plain Python."""

from __future__ import annotations

from corpus.case import Corpus

corpus = Corpus()
add = corpus.add
# fmt: off

add("alias mutated in another step", """
rows = [1, 2, 3]
same = rows
---
same.append(4)
---
rows, rows is same
""")
add("shared list in two containers", """
shared = []
left, right = {"items": shared}, [shared]
---
left["items"].append(1)
---
right[0].append(2)
---
print(shared, left, right, left["items"] is right[0])
""")
add("estimators sharing one list of defaults", """
class Node:
    def __init__(self, value, children):
        self.value, self.children = value, children
common = []
a, b = Node(1, common), Node(2, common)
---
a.children.append(b)
---
b.children.append("leaf")
---
len(a.children), a.children is b.children, a.children[0] is b, common[1]
""")
add("function redefined later", """
def area(r):
    return 3 * r * r
---
def report(r):
    return f"area {area(r)}"
first = report(2)
---
def area(r):
    return r * r
---
print(first, report(2))
""")
add("forward reference", """
def total():
    return helper(base) + 1
---
base = 10
---
def helper(x):
    return x * 2
---
total()
""")
add("nested functions reading globals that come later", """
def outer():
    def inner():
        return [late + x for x in range(3)]
    return inner
inner = outer()
---
late = 5
---
print(inner())
---
late = 50
---
print(inner())
""")
add("loop variable reused", """
for i in range(5):
    pass
---
total = sum(i for i in range(3))
---
i, total
---
for i, name in enumerate("ab"):
    last = name
---
print(i, name, last)
""")
add("class attribute changed through an instance", """
class Counter:
    seen = []
    total = 0
    def note(self, x):
        self.seen.append(x)
        type(self).total += x
---
one, two = Counter(), Counter()
one.note(3)
---
two.note(4)
Counter.limit = 9
---
one.seen, two.total, Counter.total, one.limit, one.seen is Counter.seen
""")
add("closures sharing a cell", """
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    def get():
        return n
    return up, get
up, get = counter()
---
up(); up()
---
print(get())
---
up()
---
get()
""")
add("default argument mutated", """
def collect(x, into=[]):
    into.append(x)
    return into
---
collect(1)
---
collect(2)
---
print(collect(3), collect.__defaults__)
""")
add("default argument bound at definition", """
scale = 2
---
def f(x, by=scale):
    return x * by
---
scale = 100
---
f(3), scale
""")
add("lru_cache that is not empty", """
from functools import lru_cache
calls = []
@lru_cache(maxsize=None)
def square(x):
    calls.append(x)
    return x * x
---
square(2), square(3)
---
square(2)
---
print(calls, square.cache_info())
""")
add("decorator with state", """
def counted(f):
    def wrapper(*args):
        wrapper.calls += 1
        return f(*args)
    wrapper.calls = 0
    return wrapper
---
@counted
def double(x):
    return 2 * x
---
double(1); double(2)
---
double(3)
print(double.calls)
""")
add("registry filled by decorators", """
registry = {}
def register(f):
    registry[f.__name__] = f
    return f
---
@register
def one():
    return 1
---
@register
def two():
    return one() + 1
---
print(sorted(registry), [f() for f in registry.values()])
""")
add("defaultdict with a lambda", """
from collections import defaultdict
groups = defaultdict(lambda: [0])
---
groups["a"].append(1)
---
groups["b"]
dict(groups)
""")
add("enum, dataclass and namedtuple", """
import enum
from collections import namedtuple
from dataclasses import dataclass, field
class Color(enum.Enum):
    RED = 1
    BLUE = 2
@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)
Pair = namedtuple("Pair", "left right")
---
point = Point(1)
pair = Pair(Color.RED, point)
---
point.tags.append(Color.BLUE)
---
pair.left is Color.RED, pair, isinstance(point, Point), Color(2) in pair.right.tags
""")
add("abstract class, property and metaclass", """
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
    @property
    def big(self):
        return self.area() > limit
class Registry(type):
    made = []
    def __new__(mcs, name, bases, body):
        kind = super().__new__(mcs, name, bases, body)
        mcs.made.append(name)
        return kind
---
limit = 10
class Square(Shape):
    def __init__(self, a): self.a = a
    def area(self): return self.a ** 2
class Base(metaclass=Registry): pass
---
class Derived(Base): pass
---
limit = 3
---
print(Square(2).big, Registry.made, issubclass(Square, Shape), type(Derived).__name__)
""")
add("slots and descriptors", """
class Positive:
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, owner): return self if obj is None else getattr(obj, self.name)
    def __set__(self, obj, value):
        if value <= 0: raise ValueError(value)
        setattr(obj, self.name, value)
class Item:
    __slots__ = ("_price", "label")
    price = Positive()
---
item = Item()
item.price = 3
---
item.label = ["x"]
try:
    item.price = -1
except ValueError as error:
    refused = str(error)
---
item.price, item.label, refused, hasattr(item, "__dict__")
""")
add("class redefined, old instances stay", """
class Model:
    def name(self): return "old"
old = Model()
---
class Model:
    def name(self): return "new"
---
new = Model()
old.name(), new.name(), isinstance(old, Model), type(old) is type(new)
""")
add("method patched onto a class later", """
class Robot:
    pass
robot = Robot()
---
def greet(self):
    return f"I am {name}"
Robot.greet = greet
---
name = "R2"
robot.greet()
""")
add("subclass and super across steps", """
class A:
    def who(self): return ["A"]
---
class B(A):
    def who(self): return ["B", *super().who()]
---
b = B()
A.who = lambda self: ["patched"]
---
b.who(), B.__mro__[1] is A
""")
add("singledispatch registered later", """
from functools import singledispatch
@singledispatch
def show(x):
    return "object"
---
@show.register
def _(x: int):
    return "int"
---
@show.register(list)
def _(x):
    return f"list of {show(x[0])}"
---
show("a"), show(1), show([2])
""")
add("context manager", """
from contextlib import contextmanager
log = []
@contextmanager
def noted(name):
    log.append(f"+{name}")
    try:
        yield name
    finally:
        log.append(f"-{name}")
---
with noted("a") as a, noted("b"):
    log.append(a)
---
print(log)
""")
add("walrus, match and star-unpacking", """
values = [3, 1, 2]
if (n := len(values)) > 2:
    first, *rest = sorted(values)
squares = [last := v * v for v in values]
---
def kind(x):
    match x:
        case {"name": str(name), **others}:
            return name, others
        case [head, *tail]:
            return head, tail
        case _:
            return None
---
match {"name": "n", "size": n}:
    case {"name": found, **remaining}:
        pass
---
print(n, first, rest, last, kind(rest), kind({"name": "q", "z": 1}), found, remaining)
""")
add("global statement in a function", """
state = "fresh"
def start():
    global state, started
    state, started = "running", 1
def stop():
    global state
    del state
---
start()
---
seen = (state, started)
stop()
---
print(seen, "state" in globals())
""")
add("del, then bound again", """
x, y = 1, 2
---
del x
---
try:
    x
except NameError as error:
    message = str(error)
---
x = "again"
---
print(message, x, y)
""")
add("name deleted that a function reads", """
limit = 3
def check(v):
    return v < limit
---
ok = check(1)
del limit
---
[raises-exception]
check(1)
---
limit = 0
print(ok, check(1))
""")
add("builtin shadowed, then back", """
sum = lambda xs: "mine"
---
a = sum([1, 2])
---
del sum
---
print(a, sum([1, 2]))
""")
add("exception kept with its traceback", """
def fail(depth):
    payload = {"depth": depth}
    if depth == 0:
        raise ValueError("deep", payload)
    fail(depth - 1)
---
try:
    fail(3)
except ValueError as error:
    kept = error
---
import traceback
lines = traceback.extract_tb(kept.__traceback__)
print(kept.args, [line.name for line in lines])
---
frame = kept.__traceback__.tb_next.tb_frame
print(frame.f_locals["depth"], frame.f_locals["payload"])
""")
add("exception raised again later", """
class Refused(Exception):
    def __init__(self, code, *, why):
        super().__init__(code)
        self.why = why
try:
    raise Refused(7, why=["late"])
except Refused as error:
    kept = error
---
kept.why.append("more")
---
[raises-exception]
raise kept
---
print(kept.args, kept.why)
""")
add("f-string with =", """
width, names = 7, ["a"]
---
names += ["b"]
print(f"{width=} {names=} {len(names)=:>{width}}")
---
print(f"{names!r:_^20}")
""")
add("sets' order after shrinking", """
left = set(range(100))
for n in range(100):
    if n not in (7, 64):
        left.discard(n)
---
order = list(left)
---
print(order, list(left), list(left) == order, left)
""")
add("set of strings iterates in one order", """
words = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"}
---
order = list(words)
---
hashes = {word: hash(word) for word in words}
---
list(words) == order, all(hash(word) == hashes[word] for word in order), sorted(words)
""")
add("dict order and views", """
d = {"b": 1, "a": 2}
keys, items = d.keys(), d.items()
---
d["c"] = 3
d["b"] = d.pop("b")
---
print(d, list(keys), list(items), list(reversed(d)))
""")
add("frozensets as keys", """
pairs = {frozenset([1, 2]): "a"}
---
pairs[frozenset([2, 1])] = "b"
pairs[frozenset()] = "empty"
---
print(pairs[frozenset({1, 2})], len(pairs), frozenset([1, 2]) in pairs)
""")
add("OrderedDict, deque, Counter and ChainMap", """
from collections import ChainMap, Counter, OrderedDict, deque
base, over = {"a": 1}, {"b": 2}
chain, ring = ChainMap(over, base), deque(range(3), maxlen=3)
counts, ordered = Counter("abca"), OrderedDict(x=1, y=2)
---
base["a"] = 10
ring.append(9)
counts.update("cc")
ordered.move_to_end("x")
---
chain["new"] = 0
---
print(dict(chain), over, ring, counts.most_common(), ordered)
""")
add("weak references", """
import weakref
class Thing:
    def __init__(self, n): self.n = n
thing = Thing(1)
ref, cache = weakref.ref(thing), weakref.WeakValueDictionary(a=thing)
---
ref().n = 5
---
print(thing.n, ref() is thing, list(cache))
---
del thing
import gc; gc.collect();
---
print(ref(), list(cache))
""")
add("finalizer runs at its step", """
log = []
class Resource:
    def __del__(self):
        log.append("closed")
resource = Resource()
---
log.append("before")
---
del resource
---
log.append("after")
print(log)
""")
add("identity remembered by id()", """
objects = [object() for _ in range(3)]
index = {id(o): n for n, o in enumerate(objects)}
---
picked = objects[1]
---
index[id(picked)], [index[id(o)] for o in objects]
""")
add("objects hashed by identity as keys", """
class Node: pass
nodes = [Node() for _ in range(4)]
names = {node: n for n, node in enumerate(nodes)}
marked = set(nodes[:2])
---
marked.add(nodes[3])
---
[names[node] for node in nodes], [node in marked for node in nodes]
""")
add("generator consumed across steps", """
def numbers():
    n = 0
    while True:
        n += 1
        yield n
stream = numbers()
first = next(stream)
---
second = next(stream)
---
more = [next(stream) for _ in range(3)]
---
first, second, more
""")
add("generator with send and a closure over globals", """
step = 1
def running():
    total = 0
    while True:
        got = yield total
        total += got * step
acc = running()
next(acc)
---
acc.send(5)
---
step = 10
---
acc.send(5)
""")
add("iterators consumed across steps", """
words = ["a", "b", "c", "d"]
pairs = zip(words, range(10))
lengths = map(lambda w: (w, len(words)), words)
it = iter(words)
---
next(pairs), next(lengths), next(it)
---
words.append("e")
---
list(pairs), list(lengths), list(it)
""")
add("dict iterator and generator expression", """
d = {n: n * n for n in range(5)}
squares = (v + offset for v in d.values())
keys = iter(d)
---
offset = 100
---
next(squares), next(keys), next(keys)
---
list(squares), list(keys)
""")
add("itertools.count shared", """
import itertools
ids = itertools.count(10)
class Job:
    def __init__(self): self.id = next(ids)
---
a = Job()
---
b, c = Job(), next(ids)
---
spun = itertools.cycle("xy")
next(spun)
---
a.id, b.id, c, next(ids), next(spun), next(spun)
""")
add("StringIO consumed across steps", """
import io
buffer = io.StringIO("one\\ntwo\\nthree\\nfour")
raw = io.BytesIO(b"abcdef")
---
buffer.readline(), raw.read(2)
---
rest = buffer.read(5)
raw.write(b"XY")
---
print(repr(rest), buffer.tell(), repr(buffer.read()), raw.getvalue(), raw.read())
""")
add("deep nesting: linked list of 5,000", """
chain = None
for n in range(5000):
    chain = (n, chain)
class Link:
    def __init__(self, n, rest): self.n, self.rest = n, rest
links = None
for n in range(5000):
    links = Link(n, links)
---
links.n = "head"
---
length, at = 0, links
while at is not None:
    length, at = length + 1, at.rest
depth, pair = 0, chain
while pair is not None:
    depth, pair = depth + 1, pair[1]
print(length, depth, links.n, chain[0])
""")
add("cycle of objects", """
class Person:
    def __init__(self, name): self.name, self.friends = name, []
ann, bob = Person("ann"), Person("bob")
ann.friends.append(bob); bob.friends.append(ann)
loop = []; loop.append(loop)
---
ann.friends[0].friends[0].name = "Ann"
---
print(ann.name, bob.friends[0] is ann, loop[0][0] is loop, loop)
""")
add("huge integers and odd numbers", """
big = 7 ** 5000
odd = [float("nan"), -0.0, float("inf"), 1e-320, complex(0.0, -0.0), True, 1, 1.0]
---
big += 1
---
print(big % 10 ** 20, big.bit_length(), odd, [type(x).__name__ for x in odd])
---
odd[0] in odd, odd.index(1)
""")
add("unicode names and text", """
größe, π, данные = 3, 3.14159, ["ä", "漢字", "\\U0001f600", "\\udcff"]
---
größe += 1
данные.append("e\\u0301")
---
print(größe * π, [len(t) for t in данные], данные[:3], ascii(данные))
""")
add("exec and eval", """
source = "made = [1, 2]\\ndef grown(x): return made + [x]"
exec(source)
---
made.append(3)
---
expression = "grown(n)"
n = 4
---
print(eval(expression), eval("made is m", {"m": made, "made": made}))
""")
add("globals() read and written", """
for n in range(3):
    globals()[f"column_{n}"] = n * 10
---
column_1 += 5
---
names = sorted(name for name in globals() if name.startswith("column_"))
{name: globals()[name] for name in names}
---
globals().pop("column_0")
vars()["column_9"] = 9
---
print(column_9, "column_0" in globals())
""")
add("star import of names used later", """
from math import *
from collections import *
---
values = deque([sqrt(16), floor(pi)])
---
e = "mine"
---
print(values, e, ceil(2.1), Counter("aa"))
""")
add("import in try and in branches", """
try:
    import ujson_is_not_there as json
except ImportError:
    import json
if json.loads("1"):
    from math import tau as circle
else:
    circle = None
---
def dump(x):
    return json.dumps(x)
---
print(dump({"c": round(circle, 3)}), json.__name__)
""")
add("monkey-patched library", """
import json, statistics
original = statistics.mean
statistics.mean = lambda xs: "patched"
---
json.dumps.__doc__
a = statistics.mean([1, 2])
---
statistics.mean = original
---
print(a, statistics.mean([1, 2]))
""")
add("attribute set on a module", """
import math, string
math.answer = 42
string.ascii_mine = "abc"
---
math.answer += 1
---
print(math.answer, string.ascii_mine, hasattr(math, "answer"))
""")
add("partial, operator and bound methods", """
from functools import partial, reduce
import operator
bag = []
put = bag.append
add_two = partial(operator.add, 2)
pick = operator.itemgetter(1)
---
put(add_two(3))
---
put(pick([7, 8]))
---
bag, put.__self__ is bag, reduce(operator.mul, bag)
""")
add("function attributes and annotations", """
from __future__ import annotations
def train(x: Data, *, rate: float = 0.1) -> Result:
    "Train."
    train.history.append(x)
    return rate
train.history = []
---
train(1)
---
train(2, rate=0.5)
---
train.history, train.__annotations__, train.__doc__, train.__kwdefaults__
""")
add("future annotations reach later cells", """
from __future__ import annotations
---
def f(x: NotDefinedAnywhere) -> Nor.This:
    return x
---
f.__annotations__, f(1)
""")
add("type variables, protocols and generics", """
from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar
T = TypeVar("T")
class Box(Generic[T]):
    def __init__(self, item: T): self.item = item
class Row(NamedTuple):
    a: int
    b: str = "x"
class Sized(Protocol):
    def size(self) -> int: ...
class Options(TypedDict, total=False):
    depth: int
---
box: Box[int] = Box(Row(1))
options: Options = {"depth": 2}
---
box.item = box.item._replace(a=5)
---
box.item, options, Box[int].__origin__ is Box, Row._fields, __annotations__.keys() >= {"box"}
""")
add("operators, pickling and copying overridden", """
class Money:
    made = 0
    def __init__(self, n):
        type(self).made += 1
        self.n, self.log = n, []
    def __add__(self, other): return Money(self.n + other.n)
    def __eq__(self, other): return isinstance(other, Money) and self.n == other.n
    def __hash__(self): return hash(self.n)
    def __reduce__(self): return (Money, (self.n,))
---
wallet = Money(1) + Money(2)
wallet.log.append("kept")
---
purse = {wallet: "w"}
---
print(Money.made, wallet.log, purse[Money(3)], wallet == Money(3))
""")
add("object that refuses to be pickled", """
class Secretive:
    def __init__(self): self.n = 0
    def __getstate__(self): raise TypeError("never")
    def up(self): self.n += 1; return self.n
thing = Secretive()
---
thing.up()
---
holder = {"inner": thing}
thing.up()
---
holder["inner"].up(), thing.n, holder["inner"] is thing
""")
add("object that pickles only half of itself", """
class Lossy:
    def __init__(self): self.kept, self.lost = [1], [2]
    def __getstate__(self): return {"kept": self.kept}
    def __setstate__(self, state): self.kept = state["kept"]; self.lost = "gone"
thing = Lossy()
---
thing.lost.append(3)
---
thing.kept, thing.lost
""")
add("lock and lambda inside an object", """
import threading
class Safe:
    def __init__(self):
        self.lock, self.n = threading.Lock(), 0
        self.grow = lambda by: self.n + by
    def up(self):
        with self.lock:
            self.n = self.grow(step)
        return self.n
safe, step = Safe(), 1
---
safe.up()
---
step = 10
---
safe.up(), safe.lock.locked()
""")
add("property of tuple holding a list", """
config = ("name", [1, 2], {"k": [3]})
inner = config[1]
---
config[1].append(9)
config[2]["k"] += [4]
---
config, inner is config[1]
""")
add("swap, chained and augmented assignment", """
a, b = [1], [2]
c = d = []
---
a, b = b, a
c += [3]
---
a += b
d = d + [4]
---
a, b, c, d, c is d
""")
add("comprehension scopes and lambdas in a loop", """
funcs = [lambda: i for i in range(3)]
i = "outer"
bound = [lambda n=n: n + shift for n in range(3)]
---
shift = 1
---
[f() for f in funcs], i, [f() for f in bound]
---
shift = 100
[f() for f in bound]
""")
add("recursion between functions of different steps", """
def even(n):
    return True if n == 0 else odd(n - 1)
---
def odd(n):
    return False if n == 0 else even(n - 1)
---
even(10), odd(7)
---
def odd(n):
    return "changed"
even(10)
""")
add("a step that changes nothing it seems to", """
data = [3, 1, 2]
---
sorted(data)
len(data)
data.sort
---
data.sort()
---
data
""")
add("value replaced by an equal one", """
xs = [1, 2]
ys = xs
---
xs = [1, 2]
---
xs.append(3)
---
xs, ys
""")
add("string and bytes building", """
text, parts = "a", bytearray(b"x")
view = memoryview(parts)
---
text += "b" * 3
view[0] = ord("y")
---
parts[0] += 1
---
text, bytes(parts), bytes(view)
""")
add("array module and struct", """
import array, struct
numbers = array.array("d", [1.0, 2.0])
packed = bytearray(struct.pack("<id", 1, 2.5))
---
numbers.append(3.5)
struct.pack_into("<i", packed, 0, 99)
---
print(numbers, struct.unpack("<id", packed), numbers.itemsize)
""")
add("decimal values and fractions", """
from decimal import Decimal
from fractions import Fraction
price, share = Decimal("0.10"), Fraction(1, 3)
---
total = price * 3 + Decimal(1) / Decimal(7)
share += 1
---
print(total, share, total.as_tuple().exponent)
""")
add("dates and time zones", """
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
when = datetime(2024, 3, 31, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))
zone = timezone(timedelta(hours=5, minutes=30), "IST")
---
later = when + timedelta(hours=3)
---
print(later.isoformat(), later.astimezone(zone), when.tzinfo is later.tzinfo, later.utcoffset())
""")
add("regular expressions, paths and uuids", """
import pathlib, re, uuid
pattern = re.compile(r"(?P<word>\\w+)@", re.I)
found = pattern.search("Ann@example")
place = pathlib.PurePosixPath("a/b")
name = uuid.uuid5(uuid.NAMESPACE_DNS, "x")
---
place = place / "c.txt"
---
print(found["word"], found.span(), pattern.flags, place.suffix, name)
""")
add("many names at once", """
import string
for letter in string.ascii_lowercase:
    exec(f"v_{letter} = [ord({letter!r})]")
---
v_a.append(v_z)
---
v_z.append("end")
---
v_a, sum(len(globals()["v_" + c]) for c in string.ascii_lowercase)
""")
add("main module looked at", """
import __main__, sys
value = 1
---
__main__.value += 1
setattr(__main__, "other", [value])
---
sys.modules["__main__"].other.append(__name__)
---
value, other, __main__.__dict__ is globals()
""")
add("frames and locals looked at", """
import inspect
def caller_value(name):
    return inspect.currentframe().f_back.f_globals[name]
---
hidden = [1]
---
hidden.append(2)
---
caller_value("hidden")
""")
add("source of a function asked for", """
def f(x):
    # a comment
    return x + 1
---
import inspect
text = inspect.getsource(f)
---
print(text)
---
f.__code__.co_name, inspect.signature(f)
""", edits={0: "def f(x):\n    # another comment\n    return x + 1"})
