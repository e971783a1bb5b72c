"""The heap of one kernel: what its names are bound to, as versions that other kernels can have."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ..blobs import Blobs
from ..errors import MLOpsError, Unavailable
from . import code, refusals
from .bundle import Bundle, Changes, Unstorable
from .components import TOGETHER, components, conflict, find_foreign
from .lineages import Lineages
from .mapped import address, map_file
from .modules import module_values
from .names import ATOMS, Binding, Names
from .pickling import Pickled, Resolver, Setting, comparable, load, probe
from .quiet import quiet
from .walk import walk

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MAGIC = b"mlops-heap-2\n"


@dataclass
class _Held:
    """A version that is here, and its digest when pickled in this process ("": not known yet)."""

    bundle: Bundle
    digest: str


class Heap:
    """Names of a shell's namespace as bundles.

    Parameters
    ----------
    shell:
        IPython's. What its namespace holds now is not the notebook's, unless rebound.
    blobs:
        Where bundles are stored.
    refuse:
        Told each stream and buffer; what it refuses is not stored (secrets).
    """

    def __init__(
        self,
        shell: InteractiveShell,
        blobs: Blobs,
        refuse: Callable[[Any], bool] | None = None,
    ) -> None:
        self._shell = shell
        self._space: dict[str, Any] = shell.user_ns
        self._names = Names(shell)
        self._blobs = blobs
        self._refuse = refuse
        self._held: dict[str, _Held] = {}
        self._before: dict[str, Binding] = {}
        self._lineages = Lineages(self._space)
        self._wanted: dict[str, Bundle] = {}
        self._tried: weakref.WeakSet[type] = weakref.WeakSet()
        self._loaded: list[Any] = []  # code that nothing else may refer to yet
        self.mark()

    def mark(self) -> None:
        """Remember what each name is bound to, before a step."""
        self._before = {name: Binding(value) for name, value in self._names.visible().items()}

    def held(self) -> dict[str, str]:
        """Name or lineage to the version that is here."""
        self._forget_dead()
        return {root: held.bundle.token for root, held in self._held.items()}

    def _forget_dead(self) -> None:
        for root in [root for root in self._held if "#" in root and root not in self._lineages]:
            del self._held[root]

    # --- after a step -------------------------------------------------------------------------

    def collect(self, touched: Collection[str] | None, label: str) -> Changes:
        """What changed since :meth:`mark`.

        Parameters
        ----------
        touched:
            Names and lineages that the step may have reached, also by reading them; ``None``: all.
        label:
            Goes into the versions of live bundles.
        """
        now = self._names.visible()
        before = self._before
        same = {name for name, kept in before.items() if name in now and kept.holds(now[name])}
        bound = [name for name in now if name not in same]
        deleted = tuple(sorted(name for name in before if name not in now))
        for name in sorted(bound):
            self._lineages.adopt(name, now[name])
        self._forget_dead()
        work = _Collection(self, now, label, bound)
        with quiet():
            changed = work.changed(self._roots(bound, deleted, now, touched))
        for name in deleted:
            self._held.pop(name, None)
        self._before = {
            name: before[name] if name in same else Binding(value) for name, value in now.items()
        }
        return Changes(tuple(changed), deleted, tuple(sorted(bound)))

    def _roots(
        self,
        bound: Iterable[str],
        deleted: Iterable[str],
        now: dict[str, Any],
        touched: Collection[str] | None,
    ) -> list[str]:
        """Names and lineages whose content has to be looked at."""
        fresh = set(bound)
        lineages = self._lineages
        reached = {*now, *lineages} if touched is None else set(touched)
        pending = [*fresh, *reached, *(name for name in deleted if name in self._held)]
        found: set[str] = set()
        while pending:
            root = pending.pop()
            if root in found:
                continue
            held = self._held.get(root)
            plain = root in now and root not in fresh and isinstance(now[root], ATOMS)
            if held is not None and plain and len(held.bundle.names) == 1:
                continue
            found.add(root)
            if held is not None:
                pending += [*held.bundle.names, *held.bundle.refs]
            if root in now and (lineage := lineages.of(now[root])) is not None:
                pending.append(lineage)
        return sorted(root for root in found if root in now or root in lineages)

    # --- before a step ------------------------------------------------------------------------

    def restore(self, wanted: Collection[Bundle], known: Collection[str] = ()) -> list[Bundle]:
        """Make the namespace hold exactly these versions.

        Parameters
        ----------
        wanted:
            What it is to hold; versions that are here stay as they are.
        known:
            Lineages that exist somewhere, so that new ones get other names.

        Returns
        -------
        list of Bundle
            Live ones among ``wanted`` that are not here.

        Raises
        ------
        Unavailable
            If a stored one cannot be loaded.
        """
        self._lineages.known = set(known)
        self._wanted = {root: bundle for bundle in wanted for root in bundle.names}
        self._drop_stale()
        for name in set(self._names.visible()) - set(self._wanted):
            self._names.unbind(name)
        bundles = list(dict.fromkeys(self._wanted.values()))
        there = [bundle for bundle in bundles if bundle.names[0] not in self._held]
        missing = [bundle for bundle in there if not bundle.stored]
        absent = {root for bundle in missing for root in bundle.names}
        code.Namespace.current = self._space
        Resolver.current = self._resolve
        try:
            for bundle in self._loadable(there, absent):
                if bundle.names[0] not in self._held:
                    self._load(bundle)
        finally:
            self._loaded.clear()
        return missing

    def _loadable(self, bundles: list[Bundle], absent: set[str]) -> list[Bundle]:
        """Those that refer to nothing that is absent."""
        absent = set(absent)
        while True:
            found = [b for b in bundles if not absent & {*b.names, *b.refs}]
            if len(found) == len(bundles):
                return found
            absent |= {root for b in bundles if b not in found for root in b.names}
            bundles = found

    def _drop_stale(self) -> None:
        """Forget what is not wanted in the version that is here, and what refers to such code."""
        self._forget_dead()
        stale = {
            root
            for root, held in self._held.items()
            if (bundle := self._wanted.get(root)) is None or bundle.token != held.bundle.token
        }
        gone: set[str] = set()
        while stale - gone:
            gone |= stale
            changed = {root for root in gone if "#" in root}
            for root, held in self._held.items():
                if (
                    root in stale
                    or changed & set(held.bundle.refs)
                    or gone & set(held.bundle.names)
                ):
                    stale.add(root)
        for root in stale:
            del self._held[root]
            if "#" in root:
                self._lineages.remove(root)
            else:
                self._names.unbind(root)

    def _resolve(self, lineage: str) -> Any:
        found = self._lineages.get(lineage)
        if found is None:
            bundle = self._wanted.get(lineage)
            if bundle is None:
                raise Unavailable(f"{lineage.partition('#')[0]} is not among what is restored.")
            self._load(bundle)
            found = self._lineages.get(lineage)
        return found

    def _load(self, bundle: Bundle) -> None:
        if not bundle.stored:
            name = bundle.names[0].partition("#")[0]
            raise Unavailable(f"{name} is only in the kernel that made it.")
        values, _ = self._read(bundle)
        for root, value in values.items():
            if "#" in root:
                self._loaded.append(value)
                self._lineages.add(root, value)
            else:
                self._space[root] = value
        for root in bundle.names:
            self._held[root] = _Held(bundle, "")

    def _read(self, bundle: Bundle) -> tuple[dict[str, Any], dict[tuple[int, int], str]]:
        """A bundle's values, made anew; and where which blob is mapped."""
        places: dict[tuple[int, int], str] = {}
        try:
            data = self._blobs.get(bundle.key)
            stream, lines, keys = pickle.loads(data[len(_MAGIC) :])
            buffers = [map_file(self._blobs.path(key), readonly) for key, readonly in keys]
            with quiet():
                loaded = load(stream, lines, buffers)
            for (key, _), buffer in zip(keys, buffers, strict=True):
                if (place := address(buffer)) is not None:
                    places[place] = key
        except MLOpsError:
            raise
        except Exception as error:  # whatever a value's own code raises
            raise Unavailable(
                f"{bundle.names[0].partition('#')[0]} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        return loaded if len(bundle.names) > 1 else {bundle.names[0]: loaded}, places


class _Collection:
    """One look at what a step changed."""

    def __init__(self, heap: Heap, now: dict[str, Any], label: str, bound: Iterable[str]) -> None:
        self._heap = heap
        self._bound = set(bound)
        self._now = now
        self._label = label
        self._code = heap._lineages.alive()  # kept alive as long as ids count
        self._ids = {id(thing): lineage for lineage, thing in self._code.items()}
        self._outside = module_values()
        self._setting = Setting(heap._space, refusals.singletons(heap._shell))

    def changed(self, roots: list[str]) -> list[Bundle]:
        """The new versions of roots and of what they share objects with."""
        found = {root: self._probe(root) for root in roots}
        find_foreign(found)
        bundles = (self._version(group, found) for group in components(found))
        return [bundle for bundle in bundles if bundle is not None]

    def _value(self, root: str) -> Any:
        return self._code[root] if root in self._code else self._now[root]

    def _without(self, roots: Collection[str]) -> dict[int, str]:
        return {id_: name for id_, name in self._ids.items() if name not in roots}

    def _probe(self, root: str) -> Pickled:
        value = self._value(root)
        others = self._without((root,)) if root in self._code else self._ids
        found = probe(value, self._setting, others)
        if not found.why:
            return found
        reached = walk(value, self._heap._shell, frozenset({*others, *self._setting.singletons}))
        reached.why = found.why
        reached.refs |= found.refs | {self._ids[i] for i in reached.met & others.keys()}
        reached.globals |= found.globals
        return reached

    def _version(self, group: list[str], found: dict[str, Pickled]) -> Bundle | None:
        """The version of a component, or ``None`` if it is the one that is held and none of its
        names was bound anew."""
        names = tuple(group)
        members = [found[root] for root in group]
        held = self._heap._held.get(names[0])
        same = held if held is not None and held.bundle.names == names else None
        why = conflict(members) or self._held_by_module(members)
        pickled = members[0]
        if (not why and len(group) > 1) or why == TOGETHER:
            values = {root: self._value(root) for root in group}
            pickled = self._probe_all(values, why == TOGETHER)
            why = pickled.why or conflict([pickled])
        refs = tuple(sorted(set().union(*(member.refs for member in members)) - set(names)))
        free = tuple(sorted(set().union(*(member.globals for member in members))))
        bundle = Bundle(names, "", True, refs=refs, globals=free)
        digest = ""
        if not why:
            try:
                bundle, digest = self._store(bundle, pickled, same)
            except OSError as error:
                why = f"could not be stored: {error.strerror or error}"
            except MLOpsError as error:
                why = f"could not be stored: {error}"
            except _Refused:
                why = "it holds a secret"
            except Unstorable as error:
                why = str(error)
        if why:
            token = f"live:{self._label}:{names[0]}"
            bundle = replace(bundle, token=token, stored=False, size=0, why=why[:200])
        for root in names:
            self._heap._held[root] = _Held(bundle, digest)
        if same is not None and not why and same.bundle is bundle and not self._bound & set(names):
            return None
        return bundle

    def _held_by_module(self, members: list[Pickled]) -> str:
        """Why values cannot be stored that one of the project's modules holds as well."""
        for member in members:
            for id_ in member.shared & self._outside.keys():
                return f"the module {self._outside[id_]} holds it, too"
        return ""

    def _probe_all(self, values: dict[str, Any], together: bool = False) -> Pickled:
        others = self._without(values)
        single = next(iter(values.values())) if len(values) == 1 else values
        return probe(single, self._setting, others, together)

    def _store(self, bundle: Bundle, pickled: Pickled, held: _Held | None) -> tuple[Bundle, str]:
        """Put a component into the blob store; its version, and its digest in this process."""
        heap, keys, size = self._heap, [], len(pickled.stream)
        for buffer, readonly in zip(pickled.buffers, pickled.readonly, strict=True):
            raw = buffer.raw()
            if heap._refuse is not None and heap._refuse(raw):
                raise _Refused
            keys.append((heap._blobs.put(raw), readonly))
            size += raw.nbytes
        digest = _digest(bundle, pickled, keys)
        if held is not None and held.bundle.stored:
            if digest in (held.digest, held.bundle.token):
                return held.bundle, digest
            if not held.digest and self._is_as_loaded(held.bundle, pickled, keys):
                return held.bundle, digest
        if heap._refuse is not None and heap._refuse(pickled.stream):
            raise _Refused
        self._try(pickled)
        manifest = _MAGIC + pickle.dumps((pickled.stream, pickled.lines, keys), protocol=5)
        key = heap._blobs.put(manifest)
        buffers = tuple(key for key, _ in keys)
        return replace(bundle, token=digest, size=size, key=key, buffers=buffers), digest

    def _try(self, pickled: Pickled) -> None:
        """Load what holds objects of a class that was not loaded before.

        Raises
        ------
        Unstorable
            If that fails.
        """
        tried = self._heap._tried
        untried = [kind for kind in pickled.kinds if kind not in tried and _may_fail(kind)]
        if not untried or pickled.makes_classes:
            return
        code.Namespace.current = self._heap._space
        Resolver.current = self._code.__getitem__
        try:
            load(pickled.stream, pickled.lines, [buffer.raw() for buffer in pickled.buffers])
        except Exception as error:  # noqa: BLE001  # whatever a value's own code raises
            lines = str(error).splitlines() or [""]
            raise Unstorable(f"cannot be made again: {type(error).__name__}: {lines[0]}") from None
        tried.update(kind for kind in untried if not _hashes(kind))

    def _is_as_loaded(self, bundle: Bundle, pickled: Pickled, keys: list[tuple[str, bool]]) -> bool:
        """Whether what is held is what a stored version is when it is loaded again: the same
        content may give other bytes than where it was made."""
        if bundle.buffers != tuple(key for key, _ in keys):
            return False
        try:
            code.Namespace.current = self._heap._space
            Resolver.current = self._code.__getitem__
            values, places = self._heap._read(bundle)
        except (MLOpsError, KeyError):
            return False
        ids = {id(value): root for root, value in values.items() if "#" in root}
        others = {i: name for i, name in self._ids.items() if name not in ids.values()}
        single = next(iter(values.values())) if len(values) == 1 else values
        found = probe(single, self._setting, others)
        together = not found.why and conflict([found]) == TOGETHER
        if together:
            found = probe(single, self._setting, others, True)
        if found.why:
            return False
        again = []
        for buffer, readonly in zip(found.buffers, found.readonly, strict=True):
            raw = buffer.raw()
            place = address(raw)
            key = places.get(place) if place is not None else None
            again.append((key or self._heap._blobs.put(raw), readonly))
        if _digest(bundle, found, again) == _digest(bundle, pickled, keys):
            return True
        if again != keys or max(len(found.stream), len(pickled.stream)) > _COMPARED:
            return False
        now = {root: self._value(root) for root in bundle.names}
        held = next(iter(now.values())) if len(now) == 1 else now
        here = comparable(held, self._setting, self._without(now), together)
        there = comparable(single, self._setting, others, together)
        return not here.why and not there.why and here.stream == there.stream


_COMPARED = 1 << 22


_SURE = ("builtins", "collections", "datetime", "numpy", "pandas._libs.internals")
_SURE_BELOW = ("pandas.core.internals.", "pandas.core.indexes.")


def _may_fail(kind: type) -> bool:
    """Whether objects of a class may not be had again from their pickle."""
    module = kind.__module__ or ""
    return module not in _SURE and not module.startswith(_SURE_BELOW)


def _hashes(kind: type) -> bool:
    """Whether the notebook's own code says what its hash is: then it depends on what else is in the
    pickle whether the hash is needed too early."""
    hashing: Any = kind.__hash__
    return code.by_value(kind) and hashing is not object.__hash__


def _digest(bundle: Bundle, pickled: Pickled, keys: list[tuple[str, bool]]) -> str:
    digest = blake3(pickled.stream)
    digest.update(repr((bundle.names, keys)).encode())
    return digest.hexdigest()


class _Refused(Exception):
    """It holds what must not be written."""
