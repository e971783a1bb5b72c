"""Objects of libraries that do not pickle all that they are, or not in a way that can be loaded."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from . import arrays
from .bundle import Unstorable


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """How instances of a class are pickled, if not as they say themselves."""
    if kind is types.ModuleType:
        return _reduce_module
    for base in kind.__mro__:
        known = _KINDS.get((base.__module__, base.__qualname__))
        if known is not None:
            return known
    pandas = sys.modules.get("pandas")
    if pandas is not None and issubclass(kind, (pandas.DataFrame, pandas.Series)):
        return _reduce_frame
    return None


def _reduce_module(module: types.ModuleType) -> Any:
    """Modules that were put into ``sys.modules`` by hand cannot be imported elsewhere."""
    spec = getattr(module, "__spec__", None)
    loader = spec is not None and (spec.loader or spec.submodule_search_locations)
    known = sys.modules.get(module.__name__) is module and module.__name__ != "__main__"
    if known and not loader and not getattr(module, "__file__", None):
        raise Unstorable(f"the module {module.__name__}, made by hand")
    return NotImplemented


# --- pandas ---------------------------------------------------------------------------------------

_OF_FRAMES = {"_mgr", "_item_cache", "_attrs", "_flags", "_is_copy", "_name", "_cacher", "_hidx"}


def _reduce_frame(frame: Any) -> Any:
    """A frame or series; attributes that the notebook set, which pandas itself leaves out."""
    known = _OF_FRAMES.union(frame._metadata, frame._internal_names_set)
    extra = {
        name: value
        for name, value in vars(frame).items()
        if name not in known and not _is_accessor(frame, name, value)
    }
    if not extra:
        return NotImplemented
    make, args, state, *_ = frame.__reduce_ex__(2)
    return make, args, (state, extra), None, None, fill_frame


def _is_accessor(frame: Any, name: str, value: Any) -> bool:
    return name in frame._accessors and type(value).__module__.partition(".")[0] == "pandas"


def fill_frame(frame: Any, state: tuple[Any, dict[str, Any]]) -> None:
    """What :func:`_reduce_frame` took apart."""
    own, extra = state
    frame.__setstate__(own)
    for name, value in extra.items():
        object.__setattr__(frame, name, value)


# --- others ---------------------------------------------------------------------------------------


def _reduce_tree(tree: Any) -> Any:
    """A decision tree, whose state are views of its own memory."""
    np = arrays.numpy()
    make, args, state, *_ = tree.__reduce__()

    def own(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        made = np.zeros(value.shape, value.dtype)  # what is between fields says nothing
        for name in value.dtype.names or [...]:
            made[name] = value[name]
        return made

    return make, tuple(map(own, args)), {name: own(value) for name, value in state.items()}


def _reduce_distribution(distribution: Any) -> Any:
    """One of SciPy's own distributions, of which there is one."""
    stats: Any = sys.modules["scipy.stats"]
    shared: Any = sys.modules["numpy.random"]
    known: Any = getattr(stats, distribution.name or "", None)
    if id(known) != id(distribution):
        return NotImplemented
    if distribution._random_state is not shared.mtrand._rand:
        raise Unstorable(f"scipy.stats.{distribution.name} with a random state of its own")
    return getattr, (stats, distribution.name)


def _reduce_vectorizer(vectorizer: Any) -> Any:
    """A vectorizer of texts, without the address of its stop words."""
    make, args, state, *_ = vectorizer.__reduce_ex__(2)
    if "_stop_words_id" not in state:
        return NotImplemented
    state = {name: value for name, value in state.items() if name != "_stop_words_id"}
    return make, args, state, None, None, fill_vectorizer


def fill_vectorizer(vectorizer: Any, state: dict[str, Any]) -> None:
    """What :func:`_reduce_vectorizer` took apart."""
    vectorizer.__setstate__(state)
    vectorizer._stop_words_id = id(vectorizer.stop_words)


def _reduce_finfo(info: Any) -> Any:
    return type(info), (info.dtype,)


def _reduce_new_type(kind: Any) -> Any:
    if kind.__module__ != "__main__":
        return NotImplemented
    return make_new_type, (kind.__name__, kind.__supertype__)


def make_new_type(name: str, base: Any) -> Any:
    """A type of the notebook that only annotations know."""
    made: Any = typing.NewType(name, base)  # type: ignore[misc]
    made.__module__ = "__main__"
    return made


def _refuse_ours(kind: Any) -> Any:
    if kind.__module__ != "__main__":
        return NotImplemented
    raise Unstorable(f"a {type(kind).__name__}")


def _refuse_formula(model: Any) -> Any:
    """Loading evaluates the formula again, with names of whoever loads it."""
    if getattr(model, "formula", None) is None:
        return NotImplemented
    raise Unstorable("a model made from a formula")


def _refuse_open_figure(figure: Any) -> Any:
    """Loading a figure that is open opens another one."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    for manager in helpers.Gcf.get_all_fig_managers() if helpers is not None else ():
        if manager.canvas.figure is figure:
            raise Unstorable("a figure that is open")
    return NotImplemented


def _refuse_image_file(image: Any) -> Any:
    raise Unstorable("an image that was opened from a file")


def _reduce_image(image: Any) -> Any:
    plain = vars(type(image)())
    extra = {name: value for name, value in vars(image).items() if name not in plain}
    if not extra:
        return NotImplemented
    make, args, state, *_ = image.__reduce_ex__(2)
    return make, args, (state, extra), None, None, fill_frame


_KINDS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("PIL.Image", "Image"): _reduce_image,
    ("PIL.ImageFile", "ImageFile"): _refuse_image_file,
    ("matplotlib.figure", "Figure"): _refuse_open_figure,
    ("numpy", "finfo"): _reduce_finfo,
    ("scipy.stats._distn_infrastructure", "rv_generic"): _reduce_distribution,
    ("sklearn.feature_extraction.text", "CountVectorizer"): _reduce_vectorizer,
    ("sklearn.tree._tree", "Tree"): _reduce_tree,
    ("statsmodels.base.model", "Model"): _refuse_formula,
    ("typing", "NewType"): _reduce_new_type,
    ("typing", "ParamSpec"): _refuse_ours,
    ("typing", "TypeVarTuple"): _refuse_ours,
}
