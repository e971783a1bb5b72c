"""numpy, pandas, scikit-learn, scipy and matplotlib."""

from __future__ import annotations

from corpus.case import Corpus

corpus = Corpus()
add = corpus.add
# fmt: off

# --- numpy ---

add("view of an array", """
import numpy as np
grid = np.arange(12).reshape(3, 4)
row, corner = grid[1], grid[:2, :2].T
---
row[:] = -1
---
corner[0, 0] = 99
---
grid, np.shares_memory(row, grid), corner.base is grid.base
""")
add("arrays sharing one buffer", """
import numpy as np
buffer = bytearray(16)
a = np.frombuffer(buffer, dtype="u1")
b = np.frombuffer(buffer, dtype="<i4")
---
a[4] = 7
---
buffer[0] = 3
---
a.tolist(), b.tolist(), a.flags.writeable
""")
add("in-place arithmetic on a shared array", """
import numpy as np
x = np.ones(4)
history = [x]
---
x += 1
---
x = x * 10
history.append(x)
---
x -= 5
print(history, x is history[1])
""")
add("structured and object arrays", """
import numpy as np
people = np.array([("ann", 30), ("bob", 40)], dtype=[("name", "U5"), ("age", "i4")])
bag = np.empty(2, dtype=object)
inner = []
bag[0], bag[1] = inner, {"k": inner}
---
people["age"][0] = 31
inner.append(1)
---
people[1] = ("cy", 1)
---
print(people, people.dtype.names, bag, bag[1]["k"] is bag[0])
""")
add("masked array and record array", """
import numpy as np
masked = np.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=-9)
records = np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
---
masked[0] = np.ma.masked
records.a += 1
---
print(masked, masked.filled(), masked.sum(), records.a, type(records).__name__)
""")
add("fortran order, strides and 0-d arrays", """
import numpy as np
f = np.asfortranarray(np.arange(6.0).reshape(2, 3))
every, back, point = f[:, ::2], f[::-1], np.array(5)
wide = np.broadcast_to(np.arange(3), (2, 3))
---
point += 1
f[0, 0] = 100
---
print(f.flags.f_contiguous, f.ravel("K"), every, back, point, point.shape, wide.strides)
""")
add("read-only array", """
import numpy as np
fixed = np.arange(3)
fixed.flags.writeable = False
free = fixed.copy()
---
[raises-exception]
fixed[0] = 5
---
free[0] = 5
print(fixed, free)
---
fixed.flags.writeable = True
fixed[0] = 9
---
fixed
""")
add("array that must stay writeable", """
import numpy as np
big = np.zeros(300_000)
---
mean = big.mean()
---
big[::1000] = 1
---
big.sort()
big[-1] += 4
---
mean, big.sum(), big.flags.writeable, big.flags.owndata
""", edits={0: "import numpy as np\nbig = np.ones(200_000)"})
add("memory-mapped array written in place", """
import numpy as np
np.save("grid.npy", np.zeros((3, 2)))
grid = np.load("grid.npy", mmap_mode="r+")
---
grid[1] = 7
---
grid.flush()
---
np.load("grid.npy").sum(), type(grid).__name__
""")
add("memmap file made by the notebook", """
import numpy as np
disk = np.memmap("disk.dat", dtype="f4", mode="w+", shape=(4,))
---
disk[:] = [1, 2, 3, 4]
---
disk.flush()
half = disk[:2]
---
half[0] = 10
disk.flush()
np.fromfile("disk.dat", dtype="f4"), half
""")
add("Generator used across steps", """
import numpy as np
rng = np.random.default_rng(42)
---
a = rng.normal(size=2)
---
children = rng.spawn(2)
---
b = children[0].integers(100, size=3), rng.integers(100)
---
a, b, children[1].random(), rng.random()
""")
add("RandomState shared by two estimators", """
import numpy as np
from sklearn.linear_model import SGDClassifier
rs = np.random.RandomState(0)
X = np.arange(40.0).reshape(20, 2)
y = (X[:, 0] > 20).astype(int)
one = SGDClassifier(random_state=rs, max_iter=5, tol=None)
two = SGDClassifier(random_state=rs, max_iter=5, tol=None)
---
one.fit(X, y)
first = one.coef_.copy()
---
two.fit(X, y)
---
print(first, two.coef_, one.random_state is two.random_state, rs.rand())
""")
add("numpy print options and error state", """
import numpy as np
np.set_printoptions(precision=2, suppress=True)
old = np.seterr(divide="raise")
---
np.array([1.23456, 1e-9])
---
[raises-exception]
np.array([1.0]) / 0
---
np.seterr(**old)
np.set_printoptions()
np.array([1.0]) / 0
---
np.array([1.23456])
""")
add("big array read by five steps", """
import numpy as np
big = np.arange(6_250_000, dtype="f8")
---
a = big.sum()
---
b = big[::1000].mean()
---
c = big.max()
---
d = float(big[-1])
---
e = big.shape
---
print(a, b, c, d, e)
""", edits={0: "import numpy as np\nbig = np.ones(6_250_000)"}, slow=True)
add("big array changed by one step of five", """
import numpy as np
big = np.ones(2_000_000)
alias = big
---
a = big.sum()
---
big[0] = 100
---
b = alias.sum()
---
c = big[:3]
c[1] = -1
---
print(a, b, c, alias[:3])
""", edits={0: "import numpy as np\nbig = np.zeros(1_000_000)\nalias = big"})
add("array subclass defined in the notebook", """
import numpy as np
class Signal(np.ndarray):
    def __new__(cls, values, rate):
        obj = np.asarray(values, dtype=float).view(cls)
        obj.rate = rate
        return obj
    def __array_finalize__(self, obj):
        self.rate = getattr(obj, "rate", None)
signal = Signal([1, 2, 3], rate=10)
---
part = signal[:2]
part.rate = 20
part[0] = 50
---
signal, signal.rate, part.rate, type(part).__name__
""")
add("datetimes, strings and types in numpy", """
import numpy as np
days = np.array(["2024-01-01", "NaT"], dtype="M8[D]")
words = np.array(["a", "bcd"])
kind = np.dtype([("x", "<f4", (2,))])
---
days[1] = days[0] + np.timedelta64(3, "D")
words[0] = "toolong"
---
days, words, kind, np.float32(1) / 3, np.int8(127)
""")

# --- pandas ---

add("data frame view and copy", """
import pandas as pd
df = pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")})
column, same = df["a"], df
part = df[df.a > 1]
---
df.loc[0, "a"] = 100
---
part = part.assign(c=part.a * 2)
same["new"] = 1
---
df, column.tolist(), part
""")
add("column added in another step", """
import pandas as pd
df = pd.DataFrame({"n": range(4)})
---
df["square"] = df.n ** 2
---
df.drop(columns="n", inplace=True)
---
df.rename(columns={"square": "s"}, inplace=True)
---
df.T
""")
add("array under a data frame", """
import numpy as np, pandas as pd
values = np.arange(6.0).reshape(3, 2)
df = pd.DataFrame(values, columns=["a", "b"], copy=False)
---
values[0, 0] = 50
---
seen = df.iloc[0, 0], df.to_numpy()[0, 0]
---
seen, df
""")
add("categorical and nullable types", """
import pandas as pd
df = pd.DataFrame({
    "grade": pd.Categorical(["b", "a"], categories=["a", "b", "c"], ordered=True),
    "n": pd.array([1, None], dtype="Int64"), "flag": pd.array([True, None], dtype="boolean"),
    "text": pd.array(["x", None], dtype="string")})
---
df["grade"] = df.grade.cat.add_categories("d")
df.loc[1, "n"] = 7
---
print(df, df.dtypes, list(df.grade.cat.categories), df.grade.min())
""")
add("MultiIndex, time zone and periods", """
import pandas as pd
index = pd.MultiIndex.from_product([["x", "y"], pd.period_range("2024-01", periods=2, freq="M")],
                                   names=["who", "when"])
s = pd.Series(range(4), index=index, name="n")
times = pd.date_range("2024-03-30 23:00", periods=3, freq="h", tz="Europe/Berlin")
---
table = s.unstack()
---
table.loc["x"] += 10
times = times.tz_convert("UTC")
---
print(table, times, times.freq, s.index.names)
""")
add("group-by object kept", """
import pandas as pd
df = pd.DataFrame({"k": list("aab"), "v": [1, 2, 3]})
groups = df.groupby("k")
---
sums = groups.v.sum()
---
df["w"] = df.v * 2
---
sums, groups.size().to_dict(), {k: len(g) for k, g in groups}, list(df)
""")
add("attrs and flags of a frame", """
import pandas as pd
df = pd.DataFrame({"a": [1]})
df.attrs["source"] = ["unit"]
df.flags.allows_duplicate_labels = False
---
df.attrs["source"].append("more")
---
df.attrs, df.flags.allows_duplicate_labels
""")
add("query and eval with names of the notebook", """
import pandas as pd
df = pd.DataFrame({"n": range(6)})
limit = 3
---
a = df.query("n > @limit").n.tolist()
---
limit = 4
factor = 10
---
b = df.query("n > @limit").n.tolist()
c = df.eval("m = n * @factor").m.sum()
---
a, b, c, pd.eval("limit + factor")
""")
add("pandas options", """
import pandas as pd
pd.set_option("display.max_rows", 4)
pd.options.display.precision = 2
wide = pd.DataFrame({"x": [n / 7 for n in range(10)]})
---
wide
---
with pd.option_context("display.max_rows", 20):
    print(wide)
---
pd.reset_option("display.max_rows")
---
wide.head(6)
""")
add("accessor registered on pandas", """
import pandas as pd
@pd.api.extensions.register_series_accessor("mine")
class Mine:
    def __init__(self, s): self.s = s
    def doubled(self): return (self.s * by).tolist()
by = 2
---
s = pd.Series([1, 2])
---
by = 3
---
s.mine.doubled()
""")
add("pandas Styler", """
import pandas as pd
df = pd.DataFrame({"a": [1, -2], "b": [3.14159, 2.0]})
styled = df.style.format(precision=1).map(lambda v: "color: red" if v < limit else "")
limit = 0
---
styled
---
limit = 3
---
styled.set_caption("after")
""")
add("csv, parquet, json and pickle by pandas", """
import pandas as pd
df = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
df.to_csv("t.csv", index=False)
df.to_parquet("t.parquet")
df.to_pickle("t.pkl")
---
csv, parquet = pd.read_csv("t.csv"), pd.read_parquet("t.parquet")
---
csv.loc[0, "a"] = 10
csv.to_json("t.json", orient="records")
---
print(csv, parquet, pd.read_pickle("t.pkl"), open("t.json").read())
""")
add("file read in chunks across steps", """
import pandas as pd
reader = pd.read_csv("rows.csv", chunksize=2)
first = next(reader)
---
second = reader.get_chunk()
---
rest = pd.concat(reader)
---
first.n.tolist(), second.n.tolist(), rest.n.tolist()
""", files={"rows.csv": "n\n" + "\n".join(map(str, range(7))) + "\n"})
add("rolling, resampler and writers kept", """
import pandas as pd
s = pd.Series(range(6), index=pd.date_range("2024-01-01", periods=6), dtype=float)
window, resampler = s.rolling(2), s.resample("2D")
---
s.iloc[0] = 100
---
window.sum().tolist(), resampler.mean().tolist()
""")
add("frame with objects in cells", """
import pandas as pd
shared = []
df = pd.DataFrame({"x": [shared, shared, []]}, dtype=object)
---
df.x[0].append(1)
---
shared.append(2)
---
df.x.tolist(), df.x[0] is shared
""")

# --- scikit-learn and scipy ---

add("estimator of the notebook in a grid search with n_jobs", """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
class Threshold(ClassifierMixin, BaseEstimator):
    def __init__(self, cut=0.0): self.cut = cut
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
    def predict(self, X): return clip(X[:, 0] > self.cut)
---
def clip(values):
    return values.astype(int) * top
top = 1
X = np.linspace(-1, 1, 40).reshape(-1, 1)
y = (X[:, 0] > 0.3).astype(int)
---
search = GridSearchCV(Threshold(), {"cut": [-0.5, 0.3, 0.6]}, cv=3, n_jobs=2, scoring="accuracy")
search.fit(X, y);
---
search.best_params_, round(search.best_score_, 3), search.best_estimator_.predict(X[:3])
""", slow=True)
add("pipeline with a transformer of the notebook", """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
class Shift(TransformerMixin, BaseEstimator):
    def __init__(self, by=1.0): self.by = by
    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self
    def transform(self, X): return X - self.mean_ + self.by
---
model = make_pipeline(Shift(), FunctionTransformer(np.square), LinearRegression())
X = np.arange(10.0).reshape(-1, 1)
y = X[:, 0] ** 2
---
model.fit(X, y)
---
model.predict([[3.0]]).round(6), model[0].mean_, model
---
model.set_params(shift__by=0.0).fit(X, y)
print(model.predict([[4.0]]).round(6))
""")
add("warm start continued in later steps", """
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import make_classification
X, y = make_classification(60, 5, random_state=0)
forest = RandomForestClassifier(2, warm_start=True, random_state=1, max_depth=2).fit(X, y)
---
trees = list(forest.estimators_)
forest.set_params(n_estimators=4)
---
forest.fit(X, y)
---
len(forest.estimators_), forest.estimators_[0] is trees[0], forest.score(X, y)
""")
add("partial fit across steps", """
import numpy as np
from sklearn.naive_bayes import GaussianNB
model = GaussianNB()
X, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
model.partial_fit(X[:2], y[:2], classes=[0, 1])
---
alias = model
alias.partial_fit(X[2:], y[2:])
---
model.theta_, model.predict([[2.0], [4.5]])
""")
add("global configuration of scikit-learn", """
import sklearn
from sklearn.preprocessing import StandardScaler
sklearn.set_config(transform_output="pandas", display="text")
---
import pandas as pd
out = StandardScaler().fit_transform(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
---
type(out).__name__, StandardScaler()
---
sklearn.set_config(transform_output="default")
type(StandardScaler().fit_transform([[1.0], [2.0]])).__name__
""")
add("splits and scores that draw from the global state", """
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, train_test_split
from sklearn.tree import DecisionTreeClassifier
np.random.seed(0)
X, y = load_iris(return_X_y=True)
---
Xa, Xb, ya, yb = train_test_split(X, y)
---
tree = DecisionTreeClassifier(max_features=1).fit(Xa, ya)
---
folds = [test[:2].tolist() for _, test in KFold(3, shuffle=True).split(X)]
---
round(tree.score(Xb, yb), 4), folds, np.random.rand()
""")
add("metadata and joblib file of a model", """
import joblib
from sklearn.linear_model import Ridge
model = Ridge(alpha=2.0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
joblib.dump(model, "model.joblib")
---
loaded = joblib.load("model.joblib")
loaded.note = ["x"]
---
joblib.dump(loaded, "model.joblib")
model.coef_, joblib.load("model.joblib").note, hasattr(model, "note")
""")
add("joblib memory", """
import joblib, tempfile
memory = joblib.Memory(tempfile.mkdtemp(), verbose=0)
calls = []
@memory.cache(ignore=["log"])
def slow(n, log):
    log.append(n)
    return n * n
---
a = slow(3, calls)
---
b = slow(3, calls)
---
a, b, calls
""")
add("sparse matrices and interpolators", """
import numpy as np
from scipy import interpolate, sparse
m = sparse.lil_matrix((3, 3)); m[0, 1] = 5
curve = interpolate.interp1d([0, 1, 2], [0, 10, 20])
---
m[2, 2] = 7
fast = m.tocsr()
---
fast.data *= 2
print(fast.toarray(), m.toarray().sum(), float(curve(1.5)))
""")
add("optimizer with a callback that records", """
import numpy as np
from scipy.optimize import minimize
path = []
def loss(x): return float((x[0] - target) ** 2)
target = 3.0
---
result = minimize(loss, [0.0], method="Nelder-Mead", callback=lambda x: path.append(float(x[0])))
---
target = -1.0
---
round(float(result.x[0]), 3), len(path), loss(result.x) > 1
""")

# --- matplotlib ---

add("figure continued in a later cell", """
import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(2, 2))
ax.plot([1, 2, 3])
plt.close(fig)
---
ax.set_title("later")
line = ax.lines[0]
---
line.set_color("red")
fig
---
len(ax.lines), ax.get_title(), line.axes is ax
""")
add("inline plots of several cells", """
import matplotlib.pyplot as plt
data = [1, 3, 2]
---
plt.figure(figsize=(2, 2))
plt.plot(data)
---
plt.bar(range(3), data); plt.show()
---
plt.get_fignums()
""")
add("rcParams and styles", """
import matplotlib as mpl, matplotlib.pyplot as plt
plt.rcParams["figure.figsize"] = (2, 1)
mpl.rc("lines", linewidth=5)
---
plt.plot([1, 2]); plt.show()
---
with plt.rc_context({"axes.facecolor": "black"}):
    plt.plot([2, 1]); plt.show()
---
plt.style.use("ggplot")
---
plt.plot([1, 2]); plt.show()
---
plt.rcParams["lines.linewidth"], plt.rcParams["figure.figsize"]
""")
add("twin axes and subplots over cells", """
import matplotlib.pyplot as plt
fig, axes = plt.subplots(1, 2, figsize=(3, 2))
plt.close(fig)
---
twin = axes[0].twinx()
twin.plot([10, 20], color="C1")
---
axes[1].hist([1, 1, 2]); axes[0].plot([1, 2])
---
fig
---
len(fig.axes), twin.figure is fig
""")
add("current figure kept open without inline", """
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.figure(figsize=(2, 2))
plt.plot([1, 2])
---
plt.title("same figure")
---
plt.savefig("plot.png")
---
import os
number = plt.gcf().number, plt.gca().get_title()
plt.close("all")
number, os.path.getsize("plot.png") > 100, plt.get_fignums()
""")
add("figure saved to files", """
import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(1, 1))
---
ax.plot([1, 2]); fig.savefig("a.png")
---
fig.savefig("b.svg", metadata={"Date": None})
plt.close(fig)
---
import os
sorted(n for n in os.listdir() if n.startswith(("a.", "b.")))
""")
add("svg figures inline", """
%config InlineBackend.figure_formats = ["svg"]
import matplotlib.pyplot as plt
---
plt.plot([1, 2]); plt.show()
---
%config InlineBackend.figure_formats = ["png"]
---
plt.figure(figsize=(1, 1)); plt.plot([2, 1]); plt.show()
""")
add("figure left open by close_figures", """
%config InlineBackend.close_figures = False
import matplotlib.pyplot as plt
fig = plt.figure(figsize=(1, 1))
---
plt.plot([1, 2]);
---
plt.title("t");
---
plt.close("all")
len(fig.axes)
""")
add("animation and colour map objects", """
import matplotlib as mpl, matplotlib.pyplot as plt
import numpy as np
cmap = mpl.colormaps["viridis"].with_extremes(bad="red")
mpl.colormaps.register(cmap, name="mine")
norm = mpl.colors.LogNorm(1, 100)
---
fig, ax = plt.subplots(figsize=(1, 1))
image = ax.imshow(np.eye(3), cmap="mine")
plt.close(fig)
---
image.set_data(np.ones((3, 3)) * np.nan)
fig
---
float(norm(10)), cmap(0.5)[:2]
""")
