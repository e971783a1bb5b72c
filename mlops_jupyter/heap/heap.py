"""The heap of one kernel: what its names are bound to, as versions that other kernels can have."""

from __future__ import annotations

import pickle
import re
import types
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ..blobs import Blobs
from ..errors import MLOpsError, Unavailable
from . import code
from .bundle import Bundle, Changes
from .components import components, conflict
from .mapped import map_file
from .pickling import ATOMS, Pickled, Resolver, load, probe
from .walk import walk

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_IPYTHON = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[io]h|_dh|In|Out|__\w+__")
_MAGIC = b"mlops-heap-1\n"


@dataclass
class _Held:
    """A version that is here, and its digest when pickled in this process."""

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
        self._blobs = blobs
        self._refuse = refuse
        self._initial = dict(self._space)
        self._held: dict[str, _Held] = {}
        self._before: dict[str, Any] = {}
        self._code: dict[str, Any] = {}  # lineage to function or class
        self._lineages: dict[int, str] = {}
        self._known: set[str] = set()
        self._wanted: dict[str, Bundle] = {}
        self.mark()

    def _visible(self) -> dict[str, Any]:
        initial, missing = self._initial, object()
        return {
            name: value
            for name, value in self._space.items()
            if initial.get(name, missing) is not value and not _IPYTHON.fullmatch(name)
        }

    def mark(self) -> None:
        """Remember what each name is bound to, before a step."""
        self._before = self._visible()

    def held(self) -> dict[str, str]:
        """Name or lineage to the version that is here."""
        return {root: held.bundle.token for root, held in self._held.items()}

    # --- after a step -------------------------------------------------------------------------

    def collect(self, touched: Collection[str] | None, label: str) -> Changes:
        """What changed since :meth:`mark`.

        Parameters
        ----------
        touched:
            Names and lineages that the step may have reached; ``None``: all.
        label:
            Goes into the versions of live bundles.
        """
        now = self._visible()
        missing = object()
        before = self._before
        bound = [name for name, value in now.items() if before.get(name, missing) is not value]
        deleted = tuple(sorted(name for name in before if name not in now))
        changed: list[Bundle] = []
        self._adopt(bound, now)
        roots = self._roots(bound, deleted, now, touched)
        found = {root: self._probe(root, now) for root in roots}
        for group in components(found):
            bundle = self._version(group, found, now, label)
            if bundle is not None:
                changed.append(bundle)
        for name in deleted:
            self._held.pop(name, None)
        self._before = now
        return Changes(tuple(changed), deleted)

    def _roots(
        self,
        bound: Iterable[str],
        deleted: Iterable[str],
        now: dict[str, Any],
        touched: Collection[str] | None,
    ) -> list[str]:
        """Names and lineages whose content has to be looked at."""
        fresh = set(bound)
        reached = set(now) | set(self._code) if touched is None else set(touched)
        pending = [*fresh, *(root for root in reached if root in now or root in self._code)]
        pending += [name for name in deleted if name in self._held]
        found: set[str] = set()
        while pending:
            root = pending.pop()
            if root in found:
                continue
            if root in now and root not in fresh and isinstance(now[root], ATOMS):
                if root in self._held and len(self._held[root].bundle.names) == 1:
                    continue
            found.add(root)
            if (held := self._held.get(root)) is not None:
                pending += [*held.bundle.names, *held.bundle.refs]
            if root in now and (lineage := self._lineages.get(id(now[root]))) is not None:
                pending.append(lineage)
        return sorted(root for root in found if root in now or root in self._code)

    def _adopt(self, bound: Iterable[str], now: dict[str, Any]) -> None:
        """Give functions and classes that the notebook bound to a name their lineage."""
        for name in sorted(bound):
            value = now[name]
            if id(value) in self._lineages or not isinstance(value, type | types.FunctionType):
                continue
            if not code.by_value(value) or (
                isinstance(value, types.FunctionType) and value.__globals__ is not self._space
            ):
                continue
            first = lineage = f"{name}#{code.fingerprint(value)}"
            number = 1
            while lineage in self._code or lineage in self._known:
                number += 1
                lineage = f"{first}.{number}"
            self._code[lineage], self._lineages[id(value)] = value, lineage

    def _value(self, root: str, now: dict[str, Any]) -> Any:
        return self._code[root] if root in self._code else now[root]

    def _probe(self, root: str, now: dict[str, Any]) -> Pickled:
        value = self._value(root, now)
        own = {id_: name for id_, name in self._lineages.items() if name != root}
        found = probe(value, self._shell, own if root in self._code else self._lineages)
        if found.why:
            skipped = frozenset(id_ for id_, name in self._lineages.items() if name != root)
            reached = walk(value, self._shell, skipped)
            reached.why = found.why
            reached.refs = found.refs | {
                name for id_, name in self._lineages.items() if id_ in reached.shared
            }
            reached.globals |= found.globals
            return reached
        return found

    def _version(
        self, group: list[str], found: dict[str, Pickled], now: dict[str, Any], label: str
    ) -> Bundle | None:
        """The new version of a component, or ``None`` if it is the one that is held."""
        names = tuple(group)
        members = [found[root] for root in group]
        held = self._held.get(names[0])
        same = held is not None and held.bundle.names == names
        why = conflict(members)
        pickled = members[0]
        if not why and len(group) > 1:
            values = {root: self._value(root, now) for root in group}
            own = {id_: name for id_, name in self._lineages.items() if name not in values}
            pickled = probe(values, self._shell, own)
            why = pickled.why
        refs = tuple(sorted(set().union(*(member.refs for member in members)) - set(names)))
        free = tuple(sorted(set().union(*(member.globals for member in members))))
        bundle = Bundle(names, "", True, refs=refs, globals=free)
        digest = ""
        if not why:
            try:
                bundle, digest = self._store(bundle, pickled, held if same else None)
            except OSError as error:
                why = f"could not be stored: {error.strerror or error}"
            except MLOpsError as error:
                why = f"could not be stored: {error}"
            except _Refused:
                why = "it holds a secret"
        if why:
            token = f"live:{label}:{names[0]}"
            bundle = replace(bundle, token=token, stored=False, size=0, why=why[:200])
        elif same and held is not None and held.bundle.token == bundle.token:
            return None
        for root in names:
            self._held[root] = _Held(bundle, digest)
        return bundle

    def _store(
        self, bundle: Bundle, pickled: Pickled, held: _Held | None
    ) -> tuple[Bundle, str]:
        """Put a component into the blob store; its version, and its digest in this process."""
        keys, size = [], len(pickled.stream)
        for buffer in pickled.buffers:
            raw = buffer.raw()
            if self._refuse is not None and self._refuse(raw):
                raise _Refused
            keys.append((self._blobs.put(raw), raw.readonly))
            size += raw.nbytes
        digest = blake3(pickled.stream)
        digest.update(repr((bundle.names, keys)).encode())
        token = digest.hexdigest()
        if held is not None and held.digest == token:
            return held.bundle, token
        if self._refuse is not None and self._refuse(pickled.stream):
            raise _Refused
        manifest = _MAGIC + pickle.dumps((pickled.stream, pickled.lines, keys), protocol=5)
        key = self._blobs.put(manifest)
        made = replace(
            bundle, token=token, size=size, key=key, buffers=tuple(key for key, _ in keys)
        )
        return made, token

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
        self._known = set(known)
        self._wanted = {root: bundle for bundle in wanted for root in bundle.names}
        for root in list(self._held):
            bundle = self._wanted.get(root)
            if bundle is None or bundle.token != self._held[root].bundle.token:
                self._drop(root)
        for name in set(self._visible()) - set(self._wanted):
            del self._space[name]
        missing = []
        code.Namespace.current = self._space
        Resolver.current = self._resolve
        for bundle in dict.fromkeys(self._wanted.values()):
            if bundle.names[0] in self._held:
                continue
            if not bundle.stored:
                missing.append(bundle)
            else:
                self._load(bundle)
        return missing

    def _drop(self, root: str) -> None:
        del self._held[root]
        if root in self._code:
            del self._lineages[id(self._code.pop(root))]
        else:
            self._space.pop(root, None)

    def _resolve(self, lineage: str) -> Any:
        if lineage not in self._code:
            bundle = self._wanted.get(lineage)
            if bundle is None:
                raise Unavailable(f"{lineage.partition('#')[0]} is not among what is restored.")
            self._load(bundle)
        return self._code[lineage]

    def _load(self, bundle: Bundle) -> None:
        try:
            data = self._blobs.get(bundle.key)
            stream, lines, keys = pickle.loads(data[len(_MAGIC) :])
            buffers = [map_file(self._blobs.path(key), readonly) for key, readonly in keys]
            loaded = load(stream, lines, buffers)
        except MLOpsError:
            raise
        except Exception as error:  # whatever a value's own code raises
            raise Unavailable(
                f"{bundle.names[0].partition('#')[0]} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        values = loaded if len(bundle.names) > 1 else {bundle.names[0]: loaded}
        for root, value in values.items():
            if "#" in root:
                self._code[root], self._lineages[id(value)] = value, root
            else:
                self._space[root] = value
        digest = ""
        if not (len(values) == 1 and isinstance(loaded, ATOMS)):
            digest = self._digest(bundle, values)
        for root in bundle.names:
            self._held[root] = _Held(bundle, digest)

    def _digest(self, bundle: Bundle, values: dict[str, Any]) -> str:
        """The digest that what was just loaded has when it is pickled in this process."""
        own = {id_: name for id_, name in self._lineages.items() if name not in values}
        single = len(bundle.names) == 1
        pickled = probe(values[bundle.names[0]] if single else values, self._shell, own)
        keys = [(self._blobs.put(b.raw()), b.raw().readonly) for b in pickled.buffers]
        digest = blake3(pickled.stream)
        digest.update(repr((bundle.names, keys)).encode())
        return "" if pickled.why else digest.hexdigest()


class _Refused(Exception):  # noqa: N818
    """It holds what must not be written."""
