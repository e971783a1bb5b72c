"""Conformance suites that plug-ins inherit to prove that they keep their family's contract.

A plug-in's own tests say ``class TestMine(StatisticConformance): statistic = mine`` and run with
pytest.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from .ambient import Ambient, Unstorable
from .ambient.codec import decode, encode
from .errors import Conflict, InvalidInput
from .executors.base import Executor
from .statistics.base import Kind, Outcome, Sample, Statistic
from .targets.base import Spec, State, Target


class StatisticConformance:
    """What every drift statistic has to keep; set ``statistic``, and ``symmetric`` to ``True`` if
    exchanging the samples leaves the value's magnitude and the p-value as they are."""

    statistic: Statistic
    symmetric = False

    def samples(self) -> Iterator[tuple[Kind, Sample, Sample]]:
        """For each kind the statistic declares: the kind, a sample and a far-away one."""
        p = (np.arange(400) + 0.5) / 400
        logistic = np.log(p / (1 - p))
        for kind in self.statistic.kinds:
            if kind == "numeric":
                yield kind, logistic, logistic + 4.0
            else:
                yield kind, {"no": 700, "yes": 300}, {"no": 100, "yes": 900}

    def _sound(self, outcome: Outcome) -> Outcome:
        assert isinstance(outcome, Outcome)
        assert not math.isnan(outcome.value), "the value is NaN"
        if outcome.p_value is not None:
            assert 0 <= outcome.p_value <= 1, f"p = {outcome.p_value}"
        return outcome

    def _compute(self, reference: Sample, current: Sample) -> Outcome:
        return self._sound(self.statistic.compute(reference, current))

    def test_declaration(self) -> None:
        """The record is complete and makes sense."""
        statistic = self.statistic
        assert statistic.name.isidentifier()
        assert statistic.kinds
        assert set(statistic.kinds) <= {"numeric", "categorical"}
        assert len(set(statistic.kinds)) == len(statistic.kinds)
        assert statistic.drift in ("above", "below")
        assert math.isfinite(statistic.threshold)
        assert statistic.threshold > 0
        assert statistic.symbol

    def test_a_test_has_a_p_value(self) -> None:
        """Drift below a threshold is about a p-value, so there must be one."""
        if self.statistic.drift == "below":
            for _, sample, far in self.samples():
                assert self._compute(sample, far).p_value is not None

    def test_identical_samples_do_not_drift(self) -> None:
        """A sample against itself has value 0 and no drift."""
        for _, sample, _far in self.samples():
            outcome = self._compute(sample, sample)
            assert abs(outcome.value) < 1e-9
            assert not self.statistic.drifted(outcome)

    def test_a_big_shift_drifts(self) -> None:
        """Samples that hardly overlap drift, in both directions."""
        for _, sample, far in self.samples():
            assert self.statistic.drifted(self._compute(sample, far))
            assert self.statistic.drifted(self._compute(far, sample))

    def test_symmetry(self) -> None:
        """Exchanging the samples changes nothing, where the statistic says so."""
        if self.symmetric:
            for _, sample, far in self.samples():
                one, other = self._compute(sample, far), self._compute(far, sample)
                assert math.isclose(abs(one.value), abs(other.value), rel_tol=1e-12)
                assert one.p_value == other.p_value or math.isclose(
                    one.p_value or 0.0, other.p_value or 0.0, rel_tol=1e-9
                )

    def test_order_does_not_matter(self) -> None:
        """A sample is a set of values: neither their order nor the categories' counts."""
        for _, sample, far in self.samples():
            expected = self._compute(sample, far)
            if isinstance(sample, np.ndarray) and isinstance(far, np.ndarray):
                found = self._compute(np.roll(sample[::-1], 7), np.roll(far, 11))
            else:
                found = self._compute(_reversed(sample), _reversed(far))
            assert math.isclose(expected.value, found.value, rel_tol=1e-9)

    def test_samples_are_left_as_they_are(self) -> None:
        """Computing changes neither sample."""
        for kind, sample, far in self.samples():
            if isinstance(sample, np.ndarray) and isinstance(far, np.ndarray):
                one, other = np.roll(sample, 3), np.roll(far, 3)
                before = one.copy(), other.copy()
                self._compute(one, other)
                assert np.array_equal([one, other], before), f"a {kind} sample was changed"
            else:
                counts = dict(sample), dict(far)
                self._compute(sample, far)
                assert (sample, far) == counts, f"a {kind} sample was changed"

    def test_constant_samples(self) -> None:
        """One and the same value everywhere is no drift, and no division by zero."""
        for kind in self.statistic.kinds:
            sample: Sample = np.full(50, 3.0) if kind == "numeric" else {"only": 50}
            outcome = self._compute(sample, sample)
            assert outcome.value == 0
            assert not self.statistic.drifted(outcome)

    def test_single_values(self) -> None:
        """One row against many, and one against one, gives an outcome."""
        for kind, sample, _far in self.samples():
            one: Sample = np.array([1.0]) if kind == "numeric" else {"yes": 1}
            self._compute(sample, one)
            self._compute(one, one)

    def test_empty_samples_are_refused(self) -> None:
        """No rows is not a sample."""
        for kind, sample, _far in self.samples():
            empty: Sample = np.array([], dtype=float) if kind == "numeric" else {}
            for reference, current in ((sample, empty), (empty, sample), (empty, empty)):
                self._refused(reference, current)
            if kind == "categorical":
                self._refused(sample, {"no": 0})

    def test_values_that_are_no_numbers_are_refused(self) -> None:
        """NaN and infinities never count as values."""
        if "numeric" in self.statistic.kinds:
            for bad in (math.nan, math.inf, -math.inf):
                self._refused(np.array([1.0, 2.0, bad]), np.array([1.0, 2.0, 3.0]))
                self._refused(np.array([1.0, 2.0, 3.0]), np.array([bad, 2.0, 1.0]))

    def test_the_wrong_kind_is_refused(self) -> None:
        """A sample of a kind that the statistic does not declare."""
        if "numeric" not in self.statistic.kinds:
            self._refused(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
        if "categorical" not in self.statistic.kinds:
            self._refused({"no": 1, "yes": 2}, {"no": 2, "yes": 2})

    def _refused(self, reference: Sample, current: Sample) -> None:
        try:
            self.statistic.compute(reference, current)
        except InvalidInput:
            return
        raise AssertionError(f"{self.statistic.name} accepted {reference!r} and {current!r}")


def _reversed(sample: Sample) -> dict[str, int]:
    assert isinstance(sample, dict)
    return dict(reversed(sample.items()))


class TargetConformance:
    """What every target has to keep. Give it fixtures ``target`` (on a workspace) and ``spec`` (a
    registered version that can be served there, and has a :class:`Deployment` in the store)."""

    deadline = 60.0

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + self.deadline
        while not condition():
            assert time.monotonic() < limit, f"waited in vain for: {what}"
            time.sleep(0.05)

    def _ready(self, target: Target, spec: Spec) -> State:
        def ready() -> bool:
            state = target.state(spec.name)
            assert state is None or state.status != "failed", state
            return state is not None and state.status == "ready"

        target.start(spec)
        self._until(ready, "the server to be ready")
        state = target.state(spec.name)
        assert state is not None
        return state

    def test_nothing_before_the_start(self, target: Target, spec: Spec) -> None:
        """What was never started does not live, says nothing, and can be stopped."""
        assert not target.alive(spec.name)
        assert target.state(spec.name) is None
        assert target.logs(spec.name) == ""
        target.stop(spec.name)

    def test_a_server_lives_until_it_is_stopped(self, target: Target, spec: Spec) -> None:
        """It says where it listens, answers there, logs, and is gone when ``stop`` returns."""
        try:
            state = self._ready(target, spec)
            assert target.alive(spec.name)
            with socket.create_connection((state.host, state.port), timeout=10):
                pass
            assert target.logs(spec.name, 1).count("\n") == 1
        finally:
            target.stop(spec.name)
        assert not target.alive(spec.name)
        assert target.state(spec.name) is None
        with socket.socket() as probe:
            assert probe.connect_ex((state.host, state.port)) != 0, "something still listens"
        target.stop(spec.name)

    def test_a_failed_start_says_why(self, target: Target, spec: Spec) -> None:
        """A server that cannot start says so in a line, and leaves nothing that lives."""

        def failed() -> bool:
            state = target.state(spec.name)
            return state is not None and state.status == "failed"

        target.start(replace(spec, alias=None, version="987654"))
        self._until(failed, "the server to fail")
        state = target.state(spec.name)
        assert state is not None
        assert "987654" in state.error
        assert "\n" not in state.error
        self._until(lambda: not target.alive(spec.name), "the server to end")
        target.stop(spec.name)


def _square(number: int) -> int:
    return number * number


def _refuse(message: str) -> None:
    raise InvalidInput(message, hint="as asked")


def _write(path: str, text: str) -> int:
    with open(path, "a", encoding="utf-8") as file:
        return file.write(text)


class ExecutorConformance:
    """What every executor has to keep; define ``make``, which gives a new executor for some
    workers."""

    def make(self, workers: int) -> Executor:
        """A new executor."""
        raise NotImplementedError

    def test_gives_results(self) -> None:
        """What functions return comes back, each to its own future."""
        with self.make(1) as executor:
            assert executor.workers == 1
            futures = [executor.submit(_square, number) for number in range(5)]
            assert [future.result(timeout=60) for future in futures] == [0, 1, 4, 9, 16]

    def test_more_workers_give_the_same(self) -> None:
        """Several workers change nothing about the results."""
        with self.make(2) as executor:
            futures = [executor.submit(_square, number) for number in range(5)]
            assert [future.result(timeout=60) for future in futures] == [0, 1, 4, 9, 16]

    def test_raises_what_was_raised(self) -> None:
        """An error arrives whole, and the executor stays usable."""
        with self.make(1) as executor:
            error = executor.submit(_refuse, "no").exception(timeout=60)
            assert isinstance(error, InvalidInput)
            assert (error.message, error.hint) == ("no", "as asked")
            assert executor.submit(_square, 3).result(timeout=60) == 9, "unusable after an error"

    def test_runs_a_function_once(self, tmp_path: Path) -> None:
        """Each submission runs once: nothing is remembered, nothing repeated."""
        file = tmp_path / "written"
        with self.make(1) as executor:
            for _ in range(2):
                executor.submit(_write, str(file), "x").result(timeout=60)
        assert file.read_text() == "xx", "equal calls are two calls"

    def test_runs_in_this_process_if_it_says_so(self) -> None:
        """``in_process`` tells the truth."""
        with self.make(1) as executor:
            process = executor.submit(os.getpid).result(timeout=60)
            assert (process == os.getpid()) is executor.in_process

    def test_closed_it_refuses(self) -> None:
        """Closing twice is fine; what comes later is refused."""
        executor = self.make(1)
        executor.close()
        executor.close()
        try:
            executor.submit(_square, 1)
        except Conflict:
            return
        raise AssertionError("a closed executor took a function")


class AmbientConformance:
    """What every ambient provider has to keep; define ``make`` and ``change``. The provider's
    module is imported and its state is the start's when a test begins, and again when it ends."""

    def make(self) -> Ambient:
        """A new provider."""
        raise NotImplementedError

    def change(self) -> None:
        """Change the state, as user code would."""
        raise NotImplementedError

    def test_the_start_is_the_start(self) -> None:
        """Nothing was changed, so the state is the start's; looking at it changes nothing."""
        provider = self.make()
        start = encode(provider.start())
        assert encode(provider.capture()) == start
        assert encode(provider.capture()) == start

    def test_a_change_is_seen_and_taken_back(self) -> None:
        """After a change the state is another one, or cannot be carried; the start comes back."""
        provider = self.make()
        start = provider.start()
        try:
            self.change()
            try:
                changed = encode(provider.capture())
            except Unstorable as reason:
                assert str(reason), "no reason is given"
            else:
                assert changed != encode(start), "the change was not seen"
        finally:
            provider.restore(start)
        assert encode(provider.capture()) == encode(start)

    def test_a_state_comes_back_from_bytes(self) -> None:
        """A state that was stored is the same after it is restored, to the byte."""
        provider = self.make()
        start = provider.start()
        try:
            self.change()
            try:
                changed = encode(provider.capture())
            except Unstorable:
                return
            provider.restore(start)
            provider.restore(decode(changed))
            assert encode(provider.capture()) == changed
            provider.restore(decode(changed))
            assert encode(provider.capture()) == changed, "restoring twice is not the same"
        finally:
            provider.restore(start)
