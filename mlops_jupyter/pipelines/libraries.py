"""What calls of well-known libraries do besides giving a value.

Paths are dotted names in full (``numpy.random.seed``); ``()`` stands after what was called on the
way (``decimal.getcontext().prec``), ``[]`` after an item.
"""

from __future__ import annotations

import re
import sys

from .events import Argument, Call, Kind
from .methods import words

# What `ambient` providers carry from kernel to kernel: a call or an assignment changes it.
_AMBIENT = [
    (name, re.compile(pattern))
    for name, pattern in (
        ("random", r"random\.(?!Random\b|SystemRandom\b)[a-z]\w*"),
        (
            "numpy-random",
            r"numpy\.random\.(?!default_rng\b)[a-z]\w*|scipy\.stats\.\w+(\(\))?\.rvs"
            r"|scipy\.sparse\.random\w*",
        ),
        (
            "torch-random",
            r"torch\.(cuda\.)?(manual_seed\w*|seed\w*|set_rng_state\w*|rand\w*|normal|bernoulli"
            r"|multinomial|poisson|dropout|random\.\w+)"
            r"|torch\.nn\.(?!Module\b|Parameter\b)[A-Z]\w*|torch\.nn\.(init\.\w+|functional\.\w*dropout\w*)"
            r"|torch\.utils\.data\.random_split|(pytorch_)?lightning\.seed_everything",
        ),
        (
            "torch-options",
            r"torch\.(set_(default|num|float|flush|print|grad)\w*|use_determ\w+|backends\..*)",
        ),
        ("working-folder", r"os\.f?chdir"),
        (
            "environment",
            r"os\.(environ(b?\[\]|b?\.(update|setdefault|pop|popitem|clear))|(un)?(put|set)env)"
            r"|dotenv\.load_dotenv",
        ),
        (
            "warnings",
            r"warnings\.((filter|simplefilter|reset)\w*|filters.*)"
            r"|urllib3\.disable_warnings|numpy\.warnings\..*",
        ),
        (
            "matplotlib",
            r"matplotlib\.(pyplot\.)?(rc|rcdefaults|rc_file\w*|use|style\.use|style\.library.*"
            r"|rcParams.*|switch_backend|xkcd|set_cmap|ion|ioff|register_cmap|colormaps\.register"
            r"|font_manager\..*)|seaborn\.(set\w*|reset_\w+)",
        ),
        ("pandas", r"pandas\.((re)?set_option|options\..*|set_eng_float_format)"),
        ("numpy-options", r"numpy\.(set\w+|random\.set_state)"),
        ("sklearn", r"sklearn\.set_config"),
        ("path", r"sys\.path(\[\]|\.\w+)?|site\.addsitedir"),
        ("decimal", r"decimal\.(setcontext|getcontext\(\)\..*)"),
        (
            "interpreter",
            r"sys\.set(recursionlimit|switchinterval|_int_max_str_digits)|gc\.set_threshold"
            r"|socket\.setdefaulttimeout",
        ),
        ("locale", r"locale\.setlocale"),
        ("logging", r"logging\.(disable|(getLogger\(\)\.)?setLevel|root\.setLevel)"),
    )
]
AMBIENT = tuple(name for name, _ in _AMBIENT)
# Parts of libraries whose functions change nothing in the process that matters later.
_QUIET = re.compile(
    r"(IPython\.display|altair|bokeh\.plotting|bokeh\.io\.show|collections|contextlib|copy|csv|datetime"
    r"|fractions|functools|gc\.(collect|get_\w+)|glob|hashlib|heapq|itertools|joblib|json|math"
    r"|matplotlib\.pyplot|numpy|numpy\.testing|operator|os(?!\.(umask|nice|set\w+|register\w*|fork"
    r"|dup2))|pandas(?!\.(plotting\.(de)?register\w*|api\.extensions|tseries))"
    r"|pandas\.testing|pathlib|pickle|plotly(?!\.(io|offline)\.)|pprint|random|re|scipy|seaborn"
    r"|shutil|sklearn(?!\.utils\.register)|statistics|statsmodels|string|subprocess|tempfile"
    r"|textwrap|time(?!\.tzset)|torch|traceback|uuid|unittest\.mock|zipfile|tarfile|gzip|types"
    r"|typing|dataclasses|enum|abc|numbers|inspect|ast|base64|bisect|array|struct|io|calendar"
    r"|concurrent|asyncio(?!\.set_)|secrets|platform|getpass|urllib\.(parse|request\.url\w+)"
    r"|mlflow\.(log_\w+|set_tags?|end_run|get_\w+|search_\w+|active_run)|tqdm\.\w*tqdm"
    r"|mlops_jupyter)\b.*"
)
# Names of functions that set a library up, whatever the library.
_SETS_UP = re.compile(
    r"(activate|apply_patch|autolog|basic_?[cC]onfig|config\w*|deactivate|dict_?[cC]onfig|disable\w*"
    r"|enable\w*|extension|file_?[cC]onfig|go_offline|go_online|init|init_\w+|initialise\w*"
    r"|initialize\w*|initjs|install\w*|load_extension|login|monkey_?patch\w*|output_notebook|patch\w*"
    r"|pandas|pandarallel|register\w*|set[A-Z_]\w*|setup\w*|start_run|start|unpatch\w*|unregister\w*)"
)
_WELL_KNOWN = words("torch mlflow numpy pandas scipy matplotlib seaborn")
# Functions whose last name says that they only show, or look something up.
_HARMLESS = re.compile(
    r"[A-Z]\w*|(show|plot|draw|print|display|summary|info|describe|version|get|list|head|help|log|dump"
    r"|save|write|read|load|export|render|download|close|sleep|wait|check|assert|test|view|hist"
    r"|scatter|bar|line|box|imshow|heatmap|run|main|fetch|compute|visuali[sz]e)\w*|\w+_plot"
)
# What Matplotlib keeps beside its parameters: colour maps, scales, projections, fonts.
_REGISTERS = re.compile(r"matplotlib\.(.*\.)?((un)?register\w*|add(font|_font\w*))")
_STDLIB_SETS_UP = re.compile(
    r"(atexit\.\w+|builtins\..*|codecs\.register\w*|copyreg\.\w+|csv\.(un)?register_\w+"
    r"|faulthandler\.\w+|gc\.(disable|enable|freeze|set_\w+)|importlib\.(reload|invalidate_caches)"
    r"|logging\.(basicConfig|config\.\w+|add\w+|set\w+|capture\w+|getLogger\(\)\.\w*(add|remove|set)\w*"
    r"|root\..*)|mimetypes\.add_type|multiprocessing\.set_\w+|os\.(umask|nice|set\w+|register\w+|dup2)"
    r"|readline\..*|signal\.\w+|socket\.set\w+|sqlite3\.register_\w+"
    r"|sys\.(set(?!recursionlimit)\w+|modules.*|std\w+\.(reconfigure|detach|close)|meta_path.*|path_hooks.*"
    r"|addaudithook|activate_\w+)|threading\.(set\w+|stack_size)|time\.tzset|tracemalloc\.\w+"
    r"|urllib\.request\.install_opener|unittest\.mock\..*\.start|asyncio\.set_\w+|ssl\..*)"
)
_CHANGING = re.compile(
    r"(add|append|clear|discard|extend|insert|pop|popitem|push|remove|reset|setdefault|update)"
)
# What reads names of its caller, whichever they are.
_READS_ALL = re.compile(
    r"sys\._(getframe|current_frames).*|inspect\.(currentframe|stack|trace|getouterframes)(\(\))?"
    r"|gc\.get_(objects|referrers)|importlib\.(reload)|imp\.reload"
    r"|(cProfile|profile|pdb|bdb)\.run\w*|doctest\.\w*(testmod|run_docstring_examples)|unittest\.main"
    r"|ipytest\.\w+|code\.(interact|InteractiveConsole)|IPython\.(embed|start_ipython)"
    r"|dill\.(dump|load)_(session|module)|sys\.modules\[\]|pandasql\.sqldf"
)
# What was pickled names the classes of the notebook that it needs.
_UNPICKLES = re.compile(
    r"(pickle|cPickle|cloudpickle|dill|_pickle|marshal)\.(loads?|Unpickler.*)|joblib\.load"
    r"|(pandas|numpy|torch)\.(read_pickle|load)|shelve\..*|multiprocessing\..*|mlflow\..*load_model"
    r"|(compress_pickle|jsonpickle|skops\.io|klepto|pickleshare|diskcache)\..*"
)
_BINDS_ANY = re.compile(
    r"dill\.load_\w+|(cProfile|profile|pdb|bdb)\.run\w*|code\.\w+|IPython\.(embed|start_ipython)"
    r"|ipytest\.\w+|sys\.modules\[\]"
)
# Functions that change what they are given, and the argument that they change.
_CHANGES_FIRST = re.compile(
    r"(numpy\.)?random\.shuffle|heapq\.\w+|bisect\.insort\w*|operator\.(setitem|delitem|i[a-z]+)"
    r"|numpy\.(copyto|fill_diagonal|place|put|put_along_axis|putmask|add\.at|\w+\.at|random\.shuffle)"
    r"|torch\.nn\.init\.\w+|torch\.nn\.utils\.clip_\w+|setattr|delattr|next|anext"
    r"|networkx\.set_\w+|csv\.writer|json\.dump|pickle\.dump"
)
_CHANGES_SECOND = frozenset({"json.dump", "pickle.dump", "csv.writer"})
# Functions whose result may look into what they are given.
_LOOKS_INTO = re.compile(
    r"numpy\.(as\w*array|asarray\w*|atleast_\w+|broadcast_\w+|diagonal|expand_dims|frombuffer|moveaxis"
    r"|ravel|real|imag|reshape|rollaxis|squeeze|swapaxes|transpose|split|array_split|[hvd]split"
    r"|flip\w*|rot90|lib\.stride_tricks\.\w+|ma\.\w+|nditer|matrix)|torch\.(from_numpy|as_tensor|"
    r"asarray|reshape|squeeze|unsqueeze|transpose)|copy\.copy|itertools\.\w+|functools\.(partial|reduce)"
    r"|operator\.\w+|csv\.\w+|sklearn\.base\.clone|tqdm\..*|heapq\.\w+|weakref\.\w+|types\.\w+"
    r"|\w+(\.\w+)*\.[A-Z]\w*"
)
_ONCE = re.compile(r"itertools\.\w+|csv\.(Dict)?[rR]eader|os\.(scandir|walk)|glob\.iglob|io\.open")
# Estimators and splitters that draw from numpy's global generator if no ``random_state`` is given.
_DRAWS = re.compile(
    r"(sklearn|imblearn|xgboost|lightgbm|umap)\.(\w+\.)*((\w*(Forest|Boost|Bagging|Trees?|MLP|SGD"
    r"|Perceptron|KMeans|Mixture|Dirichlet|Shuffle|Repeated|Random|Isolation|Nystroem|LinearSV|Sampler"
    r"|SMOTE|Imputer|Gaussian|Spectral|Boltzmann|RBM|Dummy|Passive)\w*)"
    r"|TSNE|MDS|UMAP|NMF|FastICA|TruncatedSVD|PCA|QuantileTransformer|KBinsDiscretizer|SVC|Ransac\w*"
    r"|RANSAC\w*|XGB\w+|LGBM\w+|train_test_split|shuffle|resample|make_\w+|permutation_\w+"
    r"|mutual_info_\w+|learning_curve|check_random_state)"
)
_NEVER_DRAWS = re.compile(r".*(\.preprocessing\.\w*Transformer|\.pipeline\.\w+|\.naive_bayes\.\w+)")
_SHUFFLES = re.compile(r"sklearn\.(\w+\.)*(Stratified|Group|StratifiedGroup)?KFold")


def ambient(path: str, call: Call | None) -> set[str]:
    """The ambient things that a call of ``path``, or an assignment to it, probably changes."""
    found = {name for name, pattern in _AMBIENT if pattern.fullmatch(path)}
    if call is not None and draws(path, call) and call.method[:1].islower():
        found.add("numpy-random")
    return found


def draws(path: str, call: Call) -> bool:
    """Whether the call draws from numpy's global generator, or makes something that will."""
    state = call.argument(-1, "random_state", "seed")
    if state is not None and state.constant != "None":
        return False
    if _SHUFFLES.fullmatch(path):
        shuffled = call.argument(-1, "shuffle")
        return shuffled is not None and shuffled.constant != "False"
    return bool(_DRAWS.fullmatch(path)) and not _NEVER_DRAWS.fullmatch(path)


def _changes_surroundings(path: str, call: Call) -> bool:
    """Whether a call changes the process outside of names, files and ambient state."""
    root, _, rest = path.partition(".")
    if _REGISTERS.fullmatch(path):
        return True
    if ambient(path, None):
        return False
    if _STDLIB_SETS_UP.fullmatch(path):
        return True
    if root in sys.stdlib_module_names or not rest:
        return False
    return _changes_tables(call) if root == "duckdb" else _sets_up(path, root, call)


def _changes_tables(call: Call) -> bool:
    """Whether SQL on the connection that duckdb keeps for the process does more than ask."""
    text = (call.arguments[0].text or "") if call.arguments else ""
    asks = text.lstrip(" (\n").lower().startswith(_ASKS)
    return call.method in ("sql", "query", "execute") and not asks


def _sets_up(path: str, root: str, call: Call) -> bool:
    """Whether a call of another library sets something up in it, by the name of the function."""
    within, _, last = path.rpartition(".")
    if "()" in within:
        looked_up = re.search(r"\bget\w*\(\)", within)
        changes = _SETS_UP.fullmatch(last) or _CHANGING.fullmatch(last)
        return bool(looked_up and changes and call.discarded)
    if _CHANGING.fullmatch(last) and "." in within:
        return True
    if _QUIET.fullmatch(path):
        return root not in _WELL_KNOWN and bool(_SETS_UP.fullmatch(last))
    if _SETS_UP.fullmatch(last):
        return True
    silent = call.discarded and not _HARMLESS.fullmatch(last)
    return silent and not any(argument.names for argument in call.arguments)


def reasons(path: str, call: Call) -> dict[Kind, str]:
    """What a call does that nobody can follow, with what to call it."""
    label = f"{call.path.lstrip('.')}()"
    found: dict[Kind, str] = {}
    if _changes_surroundings(path, call):
        found["surroundings"] = label
    if _READS_ALL.fullmatch(path):
        found["everything"] = label
    if _BINDS_ANY.fullmatch(path):
        found["anything"] = label
    return found


def changed(path: str, call: Call) -> list[Argument]:
    """Arguments that a library's or builtin function changes in place."""
    first = 1 if path in _CHANGES_SECOND else 0
    if _CHANGES_FIRST.fullmatch(path):
        found = [argument for argument in call.arguments if argument.place == first]
    elif call.discarded and not call.last and "." in path and not _QUIET.fullmatch(path):
        found = [] if _HARMLESS.fullmatch(call.method) else list(call.arguments[:1])
    else:
        found = []
    return [*found, *(item for item in call.arguments if item.place in ("out", "ax", "fig"))]


def looks_into(path: str) -> bool:
    """Whether the result of a library's function may share what it is given."""
    return bool(_LOOKS_INTO.fullmatch(path))


def unpickles(path: str) -> bool:
    """Whether a library's function may look up the notebook's classes and functions by name."""
    return bool(_UNPICKLES.fullmatch(path))


def once(path: str) -> bool:
    """Whether the result of a library's function can be read only once."""
    return bool(_ONCE.fullmatch(path))


# --- texts in which names stand ---------------------------------------------------------------

_FORMULAS = words(
    """ols glm logit wls gls glsar probit poisson negativebinomial quantreg rlm mixedlm gee phreg
    mnlogit ordinal_gee nominal_gee conditional_logit from_formula dmatrix dmatrices model_matrix
    aes incr_dbuilder build_design_matrices"""
)
_PLAIN_FORMULAS = words("ols glm logit wls gls mixedlm from_formula dmatrix dmatrices")
_FORMULA_LIBRARIES = ("statsmodels", "patsy", "formulaic", "plotnine", "bambi", "linearmodels")
_QUERIES = frozenset({"query", "eval"})
_ENGINES = frozenset({"sql", "execute", "executemany", "from_query", "query_df", "sqldf"})
_ASKS = ("select", "with", "from", "describe", "show", "explain", "summarize")
_SQL_LIBRARIES = ("duckdb", "chdb", "polars", "pandasql", "jupysql", "sqldf")


def names_in(path: str, call: Call, mentioned: frozenset[str]) -> Argument | None:
    """The argument whose text may name variables of the caller, if the call has one.

    Parameters
    ----------
    path:
        The called thing in full.
    call:
        The call; a first argument without ``text`` is one that cannot be read.
    mentioned:
        Names of modules that the notebook has imported so far.
    """
    method = call.method
    if method in _QUERIES and path != "eval":
        tree_query = call.argument(1) or call.argument(-1, "k", "eps", "workers", "p")
        given = call.argument(0, "expr", "query")
        if method == "query" and tree_query:
            return None
        return given
    if method in _FORMULAS and (path.startswith(_FORMULA_LIBRARIES) or method in _PLAIN_FORMULAS):
        return call.argument(0, "formula", "formula_like")
    if method == "evaluate" and "numexpr" in mentioned:
        return call.argument(0, "ex")
    if method in _ENGINES and mentioned & set(_SQL_LIBRARIES):
        return call.argument(0, "query", "sql")
    return None
