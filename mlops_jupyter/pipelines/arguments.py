"""What calls give to the parameters of functions."""

from __future__ import annotations

from dataclasses import replace

from .events import Argument, Call, Effects, is_parameter


def actual(effects: Effects, call: Call) -> dict[str, frozenset[str]]:
    """The global names that a call gives to each parameter of a function."""
    found: dict[str, frozenset[str]] = {}
    names = effects.parameters
    by_name = {name.partition(":")[2]: name for name in names}
    for argument in call.arguments:
        names_given = frozenset(name for name in argument.names if not is_parameter(name))
        place = argument.place
        if not names_given:
            continue
        if isinstance(place, int) and names:
            targets = [names[min(place, len(names) - 1)]]
        elif place in by_name:
            targets = [by_name[str(place)]]
        else:
            targets = list(names)
        for target in targets:
            found[target] = found.get(target, frozenset()) | names_given
    return found


def names_of(call: Call) -> frozenset[str]:
    """The names that a call is made on and given."""
    return call.receivers.union(*(argument.names for argument in call.arguments))


def gives_names(call: Call) -> bool:
    """Whether a call has to do with anything global."""
    return any(not is_parameter(name) for name in names_of(call))


def given(names: frozenset[str], actual: dict[str, frozenset[str]]) -> frozenset[str]:
    """Names with those that a call gave instead of its parameters."""
    passed = (actual.get(name, frozenset()) for name in names)
    return frozenset(name for name in names if not is_parameter(name)).union(*passed)


def with_receiver(call: Call) -> Call:
    """A method's call as its function gets it: the object first."""
    moved = [
        replace(argument, place=argument.place + 1) if isinstance(argument.place, int) else argument
        for argument in call.arguments
    ]
    return replace(call, arguments=(Argument(0, call.receivers), *moved))


def substituted(call: Call, actual: dict[str, frozenset[str]]) -> Call | None:
    """A call inside a function with the caller's names for its parameters; ``None`` if it is
    given none of them."""
    touched = False

    def names(inner: frozenset[str]) -> frozenset[str]:
        nonlocal touched
        touched = touched or any(name in actual for name in inner)
        return given(inner, actual)

    arguments = tuple(replace(item, names=names(item.names)) for item in call.arguments)
    changed = replace(call, receivers=names(call.receivers), arguments=arguments)
    return changed if touched else None
