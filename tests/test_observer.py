from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from kernels import kernel

from mlops_jupyter.blobs import Blobs, hash_of
from mlops_jupyter.stepkernel import observer as module
from mlops_jupyter.stepkernel.observer import Observed, Observer, hash_of_listing
from mlops_jupyter.stepkernel.variables import hash_of_variable


class Watched:
    """An observer on a folder, which is the working folder."""

    def __init__(self, folder, store):
        self.folder = folder
        self.blobs = Blobs(store)
        self.observer = Observer(folder, self.blobs, [store])
        self.seen = Observed()

    @contextmanager
    def step(self):
        self.observer.start()
        try:
            yield
        finally:
            self.seen = self.observer.stop()

    def _relative(self, paths):
        folder = f"{self.folder}{os.sep}"
        return {path.removeprefix(folder): value for path, value in paths.items()}

    @property
    def read(self):
        return self._relative(self.seen.read)

    @property
    def written(self):
        return self._relative(self.seen.written)

    def content(self, path):
        return self.blobs.get(self.written[path])


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "project"
    path.mkdir()
    os.chdir(path)
    return path.resolve()


@pytest.fixture
def watched(folder, tmp_path):
    return Watched(folder, tmp_path / "store")


@pytest.fixture
def scanned(folder, tmp_path, monkeypatch):
    """An observer on a system without inotify."""

    def none(*args):
        raise OSError("no inotify here")

    monkeypatch.setattr(module, "Inotify", none)
    return Watched(folder, tmp_path / "store")


def put(name, text="old"):
    Path(name).write_text(text)
    return hash_of(text.encode())


def test_nothing(watched):
    with watched.step():
        pass
    assert (watched.read, watched.written, watched.seen.listed) == ({}, {}, {})
    assert watched.seen.uncertain == []
    assert watched.observer.stop() == Observed(), "nothing was started"


def test_reading(watched):
    key = put("a.txt")
    with watched.step():
        Path("a.txt").read_text()
        open(watched.folder / "a.txt", "rb").close()
    assert watched.read == {"a.txt": key}
    assert watched.written == {}


def test_writing(watched):
    with watched.step():
        Path("a.txt").write_text("new")
        Path("a.txt").read_text()
    assert watched.content("a.txt") == b"new"
    assert watched.read == {}, "its own writing"


def test_looked_for_and_not_there(watched):
    with watched.step(), suppress(FileNotFoundError):
        Path("a.txt").read_text()
    assert watched.read == {"a.txt": ""}
    with watched.step():
        with suppress(FileNotFoundError):
            Path("b.txt").read_text()
        Path("b.txt").write_text("new")
    assert watched.read == {"b.txt": ""}
    assert watched.content("b.txt") == b"new"


def test_read_and_then_overwritten(watched):
    key = put("a.txt", "before")
    with watched.step():
        text = Path("a.txt").read_text()
        Path("a.txt").write_text(text + " and after")
    assert watched.read == {"a.txt": key}
    assert watched.content("a.txt") == b"before and after"


@pytest.mark.parametrize("mode", ["a", "r+", "a+"])
def test_what_is_kept_was_read(watched, mode):
    key = put("a.txt", "one two")
    with watched.step(), open("a.txt", mode) as file:
        file.write("ONE")
    assert watched.read == {"a.txt": key}
    assert watched.content("a.txt") in (b"ONE two", b"one twoONE")


def test_appending_to_nothing(watched):
    with watched.step(), open("a.txt", "a") as file:
        file.write("x")
    assert watched.read == {"a.txt": ""}


def test_exclusive(watched):
    with watched.step(), open("a.txt", "x") as file:
        file.write("x")
    assert (watched.read, watched.content("a.txt")) == ({"a.txt": ""}, b"x")


def test_overwriting_depends_on_nothing(watched):
    put("a.txt")
    with watched.step():
        Path("a.txt").write_text("new")
    assert watched.read == {}


def test_removing(watched):
    put("a.txt")
    with watched.step():
        os.remove("a.txt")
        Path("b.txt").write_text("passing")
        os.remove("b.txt")
        Path("c.txt").unlink(missing_ok=True)
    assert watched.written == {"a.txt": ""}
    assert watched.read == {"c.txt": ""}


def test_moving(watched):
    key = put("a.txt")
    with watched.step():
        shutil.move("a.txt", "b.txt")
    assert watched.read == {"a.txt": key}
    assert watched.written == {"a.txt": "", "b.txt": key}


def test_replacing_by_a_temporary_file(watched):
    put("a.txt")
    with watched.step():
        Path("a.tmp").write_text("new")
        os.replace("a.tmp", "a.txt")
    assert watched.read == {}
    assert watched.written.keys() == {"a.txt"}
    assert watched.content("a.txt") == b"new"


def test_folders(watched):
    with watched.step():
        os.makedirs("d/e", exist_ok=True)
        Path("d/e/f").write_text("x")
    assert watched.written == {"d": "dir", "d/e": "dir", "d/e/f": hash_of(b"x")}
    with watched.step():
        os.makedirs("d/e", exist_ok=True)
        os.rename("d", "g")
    assert watched.written == {
        **{"d": "", "d/e": "", "d/e/f": ""},
        **{"g": "dir", "g/e": "dir", "g/e/f": hash_of(b"x")},
    }
    assert watched.read == {"d/e/f": hash_of(b"x")}
    with watched.step():
        shutil.rmtree("g")
    assert watched.written == {"g": "", "g/e": "", "g/e/f": ""}
    assert watched.read == {}


def test_links(watched):
    key = put("a.txt")
    with watched.step():
        os.symlink("a.txt", "b.txt")
        Path("b.txt").read_text()
        os.link("a.txt", "c.txt")
    assert watched.written == {"b.txt": "link:a.txt", "c.txt": key}
    assert watched.read["a.txt"] == key
    with watched.step():
        Path("b.txt").write_text("through")
    assert watched.content("a.txt") == b"through"


def test_a_failed_write_changes_nothing(watched, until):
    put("a.txt")
    os.utime("a.txt", (1, 1))
    until(lambda: module.settled(module.signature("a.txt")))
    with watched.step():
        os.open("a.txt", os.O_WRONLY)
    assert watched.written == {}


def test_listing(watched):
    put("a.txt")
    before = hash_of_listing(".")
    with watched.step():
        Path("b.txt").write_text("own")
        pa.parquet.write_table(pa.table({"x": [1]}), "own.parquet")
        os.remove("a.txt")
        assert sorted(os.listdir()) == ["b.txt", "own.parquet"]
        list(Path("sub").glob("*"))
    assert watched.seen.listed[str(watched.folder)] == before
    os.mkdir("__pycache__")
    with watched.step():
        list(Path().glob("*.txt"))
    assert watched.seen.listed == {str(watched.folder): hash_of_listing(watched.folder)}
    assert hash_of_listing("nowhere") == ""
    put("c.txt")
    assert watched.seen.listed[str(watched.folder)] != hash_of_listing(".")


def test_numpy_and_pandas(watched):
    with watched.step():
        np.save("a.npy", np.arange(3))
        pd.DataFrame({"x": [1, 2]}).to_csv("a.csv", index=False)
    assert watched.content("a.csv") == b"x\n1\n2\n"
    assert watched.written.keys() == {"a.csv", "a.npy"}
    key = watched.written
    with watched.step():
        np.load("a.npy")
        np.load("a.npy", mmap_mode="r")
        pd.read_csv("a.csv")
    assert watched.read == key
    assert watched.seen.watched == []


def test_native_code(watched):
    table = pa.table({"x": [1, 2]})
    with watched.step():
        pa.parquet.write_table(table, "a.parquet")
        pa.feather.write_feather(table, "a.feather")
        pa.csv.write_csv(table, "a.csv")
        pa.parquet.write_to_dataset(table, "set", partition_cols=["x"])
    names = {p.removeprefix(f"{watched.folder}/") for p in watched.seen.watched}
    assert {"a.parquet", "a.feather", "a.csv", "set", "set/x=1"} <= names
    assert watched.content("a.csv") == b'"x"\n1\n2\n'
    assert sum(name.startswith("set/x=1/") for name in watched.written) == 1
    assert watched.seen.uncertain == []
    keys = watched.written
    with watched.step():
        pa.parquet.read_table("a.parquet")
        pa.feather.read_table("a.feather")
        pa.csv.read_csv("a.csv")
    assert watched.written == {}
    assert watched.read == {name: keys[name] for name in ("a.parquet", "a.feather", "a.csv")}
    with watched.step():
        pa.parquet.write_table(table, "a.parquet", compression="none")
    assert watched.read == {}
    assert watched.written.keys() == {"a.parquet"}
    with watched.step():
        again = pa.parquet.read_table("a.parquet")
        pa.parquet.write_table(pa.concat_tables([again, again]), "a.parquet")
    assert watched.seen.uncertain == [f"changed while it was read: {watched.folder}/a.parquet"]


def test_native_code_in_a_new_folder(watched):
    with watched.step():
        os.mkdir("new")
        pa.csv.write_csv(pa.table({"x": [1]}), "new/a.csv")
    assert watched.written.keys() == {"new", "new/a.csv"}
    with watched.step():
        os.rename("new", "newer")
        pa.csv.write_csv(pa.table({"x": [1]}), "newer/b.csv")
    assert watched.written["newer/b.csv"]
    with watched.step():
        pa.csv.read_csv("newer/b.csv")
    assert watched.read.keys() == {"newer/b.csv"}


def test_read_by_python_and_changed_by_native_code(watched):
    put("a.csv", "x\n1\n")
    with watched.step():
        Path("a.csv").read_text()
        pa.csv.write_csv(pa.table({"x": [1, 2, 3]}), "a.csv")
    assert watched.seen.uncertain == [f"changed while it was read: {watched.folder}/a.csv"]


def test_too_many_events(watched):
    code = "for n in range(9000): open(f'{n}', 'w').close()"
    with watched.step():
        subprocess.run([sys.executable, "-c", code], check=True)
    assert "too many file events" in watched.seen.uncertain
    with watched.step():
        for n in range(9000):
            open(f"{n}").close()
    assert watched.seen.uncertain == []
    assert len(watched.read) == 9000


def test_without_inotify(scanned):
    put("b.csv")
    put("c.csv")
    with scanned.step():
        pa.csv.write_csv(pa.table({"x": [1]}), "a.csv")
        pa.csv.write_csv(pa.table({"x": [1]}), "b.csv")
        subprocess.run(["rm", "c.csv"], check=True)
    assert scanned.content("a.csv") == b'"x"\n1\n'
    assert scanned.written.keys() == {"a.csv", "b.csv", "c.csv"}
    assert scanned.written["c.csv"] == ""


def test_sqlite(watched):
    with watched.step():
        connection = sqlite3.connect("a.db")
        connection.execute("create table t (x)")
        connection.commit()
    assert watched.read == {"a.db": ""}
    assert watched.blobs.get(watched.written["a.db"]) == Path("a.db").read_bytes()
    with watched.step():
        connection.execute("insert into t values (1)")
        connection.commit()
    assert watched.written.keys() == {"a.db"}, "written through a connection of an earlier step"
    connection.close()
    key = hash_of(Path("a.db").read_bytes())
    with watched.step():
        with sqlite3.connect("file:a.db?mode=ro", uri=True) as other:
            assert other.execute("select * from t").fetchall() == [(1,)]
        sqlite3.connect(":memory:").close()
    assert watched.read == {"a.db": key}


def test_a_late_close_is_no_change(watched):
    with watched.step():
        left = os.open("a.txt", os.O_WRONLY | os.O_CREAT)
        os.write(left, b"all")
    assert watched.content("a.txt") == b"all"
    with watched.step():
        os.close(left)
        os.listdir()
        pa.OSFile("a.txt").read()
    assert watched.written == {} and watched.read.keys() == {"a.txt"}


def test_what_is_still_open_is_looked_at_again(watched, tmp_path):
    """Also outside of the folder, where nothing is watched."""
    with watched.step():
        file = open(tmp_path / "log", "w")  # noqa: SIM115
        file.write("one")
        file.flush()
        array = np.memmap(tmp_path / "map", np.uint8, "w+", shape=4)
    log = str((tmp_path / "log").resolve())
    assert watched.blobs.get(watched.seen.written[log]) == b"one"
    with watched.step():
        file.write("two")
        file.close()
    assert watched.blobs.get(watched.seen.written[log]) == b"onetwo"
    with watched.step():
        array[0] = 7
    found = watched.blobs.get(watched.seen.written[str((tmp_path / "map").resolve())])
    assert found == bytes([7, 0, 0, 0])
    del array
    with watched.step():
        pass
    assert watched.written == {}


def test_child_processes(watched):
    with watched.step():
        subprocess.run(["true"], check=True)
        subprocess.run("echo hush > a.txt", shell=True, check=True)
        os.system("true --secret")
    assert watched.seen.uncertain == [f"child process: {n}" for n in ("true", "echo")]
    assert watched.content("a.txt") == b"hush\n"
    with watched.step():
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    assert watched.seen.uncertain == ["child process: fork"]


def test_workers_are_no_child_processes(watched):
    with watched.step():
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                assert pool.map(abs, [-1]) == [1]
    assert watched.seen.uncertain == []


def test_network(watched):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with watched.step():
            socket.create_connection(server.getsockname()).close()
    assert watched.seen.uncertain == ["network: 127.0.0.1"]
    with watched.step(), suppress(OSError):
        urllib.request.urlopen("http://localhost:9/path?key=hush", timeout=5)
    assert watched.seen.uncertain[0] == "network: localhost"
    assert "hush" not in str(watched.seen)
    with watched.step(), socket.socket(socket.AF_UNIX) as local, suppress(OSError):
        local.connect("nobody.sock")
    assert watched.seen.uncertain == []


def test_modules_of_the_project(watched, monkeypatch):
    monkeypatch.syspath_prepend(str(watched.folder))
    key = put("helper_of_mine.py", "import os\nTEXT = open('data.txt').read()\n")
    data = put("data.txt")
    with watched.step():
        import helper_of_mine

        assert helper_of_mine.TEXT == "old"
    path = f"{watched.folder}/helper_of_mine.py"
    assert watched.seen.modules[path] == key
    assert watched.read == {"data.txt": data}, "what a module reads counts, its source does not"
    assert "helper_of_mine" not in watched.seen.imports
    assert {"numpy", "pandas"} <= set(watched.seen.imports)
    assert not {"os", "json", "__main__"} & set(watched.seen.imports)
    put("helper_of_mine.py", "another")
    with watched.step():
        pass
    assert watched.seen.modules[path] == key, "what was loaded, not what is there"
    with watched.step():
        new = put("other_of_mine.py", "X = 1")
        import other_of_mine

        assert other_of_mine.X == 1
    assert watched.seen.modules[f"{watched.folder}/other_of_mine.py"] == new
    assert watched.seen.uncertain == []
    for name in ("helper_of_mine", "other_of_mine"):
        del sys.modules[name]


def test_a_module_rewritten_after_its_import(watched, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # all in one second: it would be taken
    monkeypatch.syspath_prepend(str(watched.folder))
    path = f"{watched.folder}/changing_module.py"
    key = put("changing_module.py", "X = 'one'")
    with watched.step():
        import changing_module

        put("changing_module.py", "X = 'another'")
    assert changing_module.X == "one"
    assert path not in watched.seen.modules
    with watched.step():
        pass
    assert watched.seen.uncertain == [f"changed after it was imported: {path}"]
    put("changing_module.py", "X = 'one'")
    with watched.step():
        importlib.reload(changing_module)
    assert watched.seen.modules[path] == key
    with watched.step():
        Path(path).read_text()
        put("changing_module.py", "X = 'third'")
        importlib.reload(changing_module)
    assert watched.seen.modules[path] == hash_of(b"X = 'third'")
    assert watched.read == {"changing_module.py": key}
    del sys.modules["changing_module"]


def test_variables(watched, monkeypatch):
    monkeypatch.setenv("ONE_OF_MINE", "hush")
    with watched.step():
        assert os.environ["ONE_OF_MINE"] == "hush"
        assert os.getenv("NONE_OF_MINE") is None
        assert "NO_SUCH" not in os.environ
        os.environ["SET_HERE"] = "x"
        assert os.environ["SET_HERE"] == "x"
        os.environ.get("JPY_PARENT_PID")
        os.path.expanduser("~")
    expected = {"ONE_OF_MINE": hash_of_variable("ONE_OF_MINE"), "NONE_OF_MINE": "", "NO_SUCH": ""}
    assert watched.seen.environment == expected
    assert hash_of(b"hush") not in expected.values()
    assert watched.read == {}
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mlops_jupyter.stepkernel.variables import hash_of_variable\n"
            "print(hash_of_variable('ONE_OF_MINE'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == expected["ONE_OF_MINE"], "the same in every process of the user"


def test_user_code_sees_nothing_of_it(watched):
    def errors():
        for act in (
            lambda: os.environ["NO_SUCH"],
            lambda: Path("no/such").read_text(),
            lambda: np.fromfile(b"\xff\0"),
            lambda: os.open(object(), os.O_RDONLY),
            lambda: os.listdir("no/such"),
            lambda: os.rename("a\0", "b"),
            lambda: sqlite3.connect("no/such/folder/x.db"),
            lambda: os.remove(12345.6),
            lambda: subprocess.Popen([]),
            lambda: subprocess.Popen(["no-such-program"]),
            lambda: socket.socket().connect(("256.1.1.1", 1)),
        ):
            try:
                act()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is to be the same
                frames = traceback.extract_tb(error.__traceback__)
                yield type(error), str(error), [(f.filename, f.name) for f in frames]

    expected = list(errors())
    assert len(expected) == 11
    with watched.step():
        found = list(errors())
    assert found == expected


def test_the_noise_of_others(watched, folder):
    put("nb.ipynb")
    for name in (".mlops", "executed", "__pycache__"):
        os.mkdir(name)
    with watched.step():
        for name in (".mlops/x", "executed/x", "__pycache__/x.pyc", "/dev/null"):
            open(name, "w").close()
        open("/proc/self/status").close()
        Path(os.__file__).read_text()
        Path(np.__file__).read_text()
        (Path.home() / ".cache").mkdir(exist_ok=True)
        with suppress(OSError):
            (Path.home() / ".cache" / "nothing").read_text()
        subprocess.run(["cat", "nb.ipynb"], stdout=subprocess.DEVNULL, check=True)
    assert (watched.read, watched.written) == ({}, {})


def test_other_threads_count(watched):
    key = put("a.txt")
    with watched.step():
        thread = threading.Thread(target=lambda: Path("a.txt").read_text())
        thread.start()
        thread.join()
    assert watched.read == {"a.txt": key}


def test_what_happens_between_steps_does_not_count(watched):
    put("a.txt")
    pa.csv.write_csv(pa.table({"x": [1]}), "b.csv")
    with watched.step():
        pass
    assert (watched.read, watched.written) == ({}, {})


def test_a_store_that_cannot_be_written(folder, tmp_path):
    watched = Watched(folder, tmp_path / "store")
    with watched.step():
        Path("a.txt").write_text("x")
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        (tmp_path / "store").write_text("in the way")
    assert watched.written == {"a.txt": "-"}
    assert f"could not be stored: {folder}/a.txt" in watched.seen.uncertain[0]


def test_special_files_are_not_stored(watched):
    with watched.step():
        os.mkfifo("pipe")
        subprocess.run(["mkfifo", "other"], check=True)
    assert watched.written["other"] == "-"


SETUP = """
import json, dataclasses
from pathlib import Path
from mlops_jupyter.blobs import Blobs
from mlops_jupyter.stepkernel.observer import Observer
observer = Observer(Path("."), Blobs("../store"), [])
"""
STOP = "print(json.dumps(dataclasses.asdict(observer.stop())))"


def test_in_a_kernel(folder):
    put("script.py", "value = open('data.txt').read()")
    put("data.txt")

    with kernel(folder) as running:

        def step(source):
            running.ok("observer.start()")
            running.ok(source)
            found = json.loads(running.ok(STOP).text)
            return {k: v for k, v in found.items() if v and k not in ("imports", "modules")}

        running.ok(SETUP)
        imports = (
            "import numpy, pandas, sklearn.ensemble, matplotlib.pyplot as plt, joblib\n"
            "from sklearn.datasets import load_iris\nload_iris()"
        )
        assert step(imports) == {}
        assert step("plt.plot([1]); plt.show()") == {}
        fit = (
            "from sklearn.model_selection import GridSearchCV\n"
            "from sklearn.linear_model import Ridge\n"
            "search = GridSearchCV(Ridge(), {'alpha': [1, 2]}, n_jobs=2)\n"
            "search.fit(*load_iris(return_X_y=True))"
        )
        assert step(fit) == {}
        assert step("!true")["uncertain"] == ["child process: fork"]
        found = step("%%writefile made.py\nx = 1")
        assert found == {"written": {f"{folder}/made.py": hash_of(b"x = 1\n")}}
        found = step("%run script.py")
        assert found["read"].keys() == {f"{folder}/script.py", f"{folder}/data.txt"}
        found = step("import os\nos.environ.get('HOME')")
        assert found["environment"].keys() == {"HOME"}
        assert step("import made; made.x; 1 / 1; made?") == {}
        assert running.run("1 / 0").status == "error"
