"""What methods of well-known name do to their object, and builtins to their arguments."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Methods that leave their object as it is (unless told ``inplace``) and give a new value.
FRESH = words(
    """abs agg aggregate align all any apply applymap argmax argmin argpartition argsort asfreq
    asof assign astype bfill boxplot capitalize casefold center clip combine combine_first
    compare convert_dtypes copy corr corrwith count cov cummax cummin cumprod cumsum
    decision_function decode describe diff difference div divide dot drop drop_duplicates dropna
    dump dumps duplicated encode endswith eq equals ewm expandtabs explode factorize ffill
    fillna find first_valid_index flatten floordiv format from_dict from_records ge get_depth
    get_dummies get_feature_names get_feature_names_out get_n_leaves get_params gt head hist
    idxmax idxmin index infer_objects info intersection interpolate inverse_transform isalnum
    isalpha isdecimal isdigit isdisjoint isin isna isnull isoformat isspace issubset issuperset
    istitle isupper islower item join kneighbors kurt kurtosis last_valid_index le ljust lower
    lstrip lt map mask max mean median melt memory_usage merge min mod mode mul multiply ne
    nlargest nonzero notna notnull nsmallest nunique pct_change perplexity pivot pivot_table
    plot pow predict predict_log_proba predict_proba prod product quantile query rank reindex
    reindex_like rename rename_axis repeat replace reset_index rfind rjust rmul round rpartition
    rsplit rstrip rsub sample savefig score score_samples searchsorted select_dtypes sem
    set_axis set_index shift show skew sort_index sort_values split splitlines stack startswith
    std strftime strip sub subtract sum summary swapcase symmetric_difference tail timestamp
    title to_clipboard to_csv to_dict to_excel to_feather to_frame to_hdf to_html to_json
    to_latex to_list to_markdown to_numpy to_parquet to_period to_pickle to_records to_sql
    to_string to_timestamp to_xml tobytes tofile tolist trace transform translate truediv
    truncate tz_convert tz_localize union unique unstack upper value_counts var where xs zfill
    exists is_file is_dir read_text read_bytes relative_to resolve with_suffix with_name
    is_absolute as_posix"""
)
# Methods that leave their object as it is and give a value that may look into it.
VIEWS = words(
    """barh bar diagonal expanding filter get groupby items iteritems iterrows itertuples keys line
    most_common ravel resample reshape rolling scatter squeeze swapaxes swaplevel transpose values
    view ravel pipe get_group __getitem__"""
)
PURE = FRESH | VIEWS
# Methods whose receiver draws random numbers or takes drawings: whatever is called changes it.
STATEFUL = (
    "numpy.random.default_rng",
    "numpy.random.RandomState",
    "numpy.random.Generator",
    "random.Random",
    "torch.Generator",
    "matplotlib.pyplot.",
    "matplotlib.figure.",
)
# Methods whose object keeps what it is given.
STORING = words(
    """add append appendleft attach extend extendleft insert push put register setdefault subscribe
    update"""
)
# Methods after which an estimator that draws has drawn.
FITTING = words(
    "fit fit_predict fit_resample fit_transform partial_fit sample split transform train"
)
# Builtins whose result holds, or walks over, what they are given.
HOLDING = words(
    """aiter dict enumerate filter frozenset getattr iter list map max memoryview min next reversed
    set sorted tuple vars zip super property classmethod staticmethod"""
)
# Builtins whose result can be read only once.
ONCE = words("aiter enumerate filter iter map open reversed zip")
# Builtins that give a value which cannot change.
ATOMIC = words(
    """ascii bin bool bytes callable chr complex float format hasattr hash hex id int isinstance
    issubclass len oct ord repr str"""
)
