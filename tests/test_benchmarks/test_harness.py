"""The harness measures what it says: order of the contestants, pairs, equality, saved bytes, report."""

import gc
import math

import pytest
import torch
from torch._subclasses import FakeTensorMode

from benchmarks.harness import Report, Timing, check_equal, race, ratio, saved_bytes


def record_calls(names: str, rounds: int, warmup: int) -> list[str]:
    calls = []
    race({name: lambda n=name: calls.append(n) for name in names}, rounds, warmup)
    return [''.join(calls[start : start + len(names)]) for start in range(0, len(calls), len(names))]


class TestRace:
    def test_order_rotates_from_round_to_round(self):
        assert record_calls('abc', rounds=3, warmup=0) == ['abc', 'bca', 'cab']

    @pytest.mark.slow
    def test_warmup_rounds_run_and_are_not_measured(self):
        assert len(record_calls('ab', rounds=3, warmup=2)) == 5
        timings = race({'a': lambda: None}, rounds=3, warmup=2)
        assert len(timings['a'].seconds) == 3

    def test_slower_contestant_takes_longer_in_every_round(self):
        small, large = torch.ones(8, 8), torch.ones(1000, 1000)
        timings = race({'small': lambda: small @ small, 'large': lambda: large @ large}, rounds=5)
        assert max(timings['small'].seconds) < min(timings['large'].seconds)

    def test_collector_is_off_inside_and_as_before_afterwards(self):
        seen = []
        race({'a': lambda: seen.append(gc.isenabled())}, rounds=2)
        assert seen == [False] * 3
        assert gc.isenabled()

    @pytest.mark.parametrize(('contestants', 'rounds'), [({}, 1), ({'a': int}, 0)])
    def test_nothing_to_race_is_an_error(self, contestants, rounds):
        with pytest.raises(ValueError, match='needs contestants and rounds'):
            race(contestants, rounds)


class TestRatio:
    def test_drift_of_the_machine_cancels(self):
        drift = [1.0, 2.0, 5.0, 3.0]
        slow, fast = Timing(tuple(3 * d for d in drift)), Timing(tuple(drift))
        assert ratio(slow, fast) == pytest.approx(3)
        assert ratio(fast, slow) == pytest.approx(1 / 3)

    def test_one_disturbed_round_does_not_count(self):
        assert ratio(Timing((2.0, 2.0, 90.0)), Timing((1.0, 1.0, 1.0))) == 2

    def test_pairs_need_as_many_rounds(self):
        with pytest.raises(ValueError, match='argument 2 is longer'):
            ratio(Timing((1.0,)), Timing((1.0, 2.0)))

    def test_min_and_median(self):
        timing = Timing((4.0, 1.0, 2.0))
        assert (timing.min, timing.median) == (1.0, 2.0)


class TestCheckEqual:
    def test_values_within_the_tolerances_pass(self):
        check_equal({'a': torch.ones(3), 'b': torch.full((3,), 1.009)}, rtol=0.01, atol=0)
        check_equal({'a': [torch.zeros(2), torch.ones(1)], 'b': (torch.full((2,), 1e-3), torch.ones(1))}, 0, 2e-3)

    def test_error_names_contestant_tensor_and_worst_difference(self):
        good = [torch.zeros(2), torch.zeros(3)]
        bad = [torch.zeros(2), torch.tensor([0.0, 0.1, 0.75])]
        with pytest.raises(AssertionError, match=r'third differs from first in tensor 1: worst difference 0\.75'):
            check_equal({'first': good, 'second': good, 'third': bad}, rtol=0.1, atol=0.1)

    @pytest.mark.parametrize('value', [math.nan, math.inf])
    def test_values_that_are_not_finite_differ(self, value):
        with pytest.raises(AssertionError, match='b differs from a'):
            check_equal({'a': torch.ones(1), 'b': torch.full((1,), value)}, rtol=1, atol=1)

    def test_other_shapes_and_numbers_of_tensors_differ(self):
        with pytest.raises(AssertionError, match=r'shape \(1, 2\) instead of \(2,\)'):
            check_equal({'a': torch.ones(2), 'b': torch.ones(1, 2)}, rtol=1, atol=1)
        with pytest.raises(AssertionError, match='b gives 2 tensors, a gives 1'):
            check_equal({'a': torch.ones(2), 'b': [torch.ones(2)] * 2}, rtol=1, atol=1)


class TestSavedBytes:
    @pytest.mark.slow
    def test_exponential_saves_its_result_once(self):
        x = torch.randn(1000, requires_grad=True)
        assert saved_bytes(x.exp) == 4000
        assert saved_bytes(lambda: x.double().exp()) == 8000

    @pytest.mark.slow
    def test_a_storage_counts_once_however_often_it_is_saved(self):
        x = torch.randn(1000, requires_grad=True)

        def function():
            y = x.exp()  # saved by exp, by both sides of the product, and by the product of a view
            return (y * y).sum() + (y[:10] * y[:10]).sum()

        assert saved_bytes(function) == 4000

    @pytest.mark.slow
    def test_parameters_inputs_and_constants_do_not_count(self):
        x, weight = torch.randn(10, 10), torch.randn(10, 10, requires_grad=True)
        table = torch.randn(10, 10)
        assert saved_bytes(lambda: (x @ weight) * table) == 0

    @pytest.mark.slow
    def test_nothing_is_saved_without_gradients(self):
        x = torch.randn(10, requires_grad=True)
        with torch.no_grad():
            assert saved_bytes(lambda: x.exp().exp()) == 0
        assert saved_bytes(lambda: x.detach().exp()) == 0

    @pytest.mark.slow
    def test_tensors_without_memory_are_no_obstacle(self):
        with FakeTensorMode():
            fake = torch.randn(10)
        assert fake.shape == (10,)
        empty = [torch.empty(0), torch.empty(0, device='meta')]
        x = torch.randn(10, requires_grad=True)
        assert saved_bytes(x.exp) == 40
        assert len(empty) == 2  # alive until here

    @pytest.mark.slow
    def test_recomputation_saves_its_input_alone(self):
        x = torch.randn(1000, requires_grad=True)

        def chain(y):
            return y.exp().exp().exp()

        def recomputed():
            return torch.utils.checkpoint.checkpoint(chain, x * 2, use_reentrant=False)

        assert saved_bytes(lambda: chain(x * 2)) == 3 * 4000
        assert saved_bytes(recomputed) <= 4000

    @pytest.mark.filterwarnings('ignore:Sparse')
    @pytest.mark.slow
    def test_all_parts_of_a_sparse_tensor_count(self):
        dense = torch.ones(10, 1, requires_grad=True)

        def product():
            rows, columns, values = torch.arange(11), torch.arange(10), torch.ones(10)
            return torch.sparse_csr_tensor(rows, columns, values, (10, 10)) @ dense

        assert saved_bytes(product) == 11 * 8 + 10 * 8 + 10 * 4


class TestReport:
    def test_markdown_has_every_table_and_the_metrics(self):
        report = Report()
        report.table('sizes', ('side', 'ms'), [(32, 0.123456), (64, 1234.6), (128, None)])
        report.metric('speed', 2.5)
        assert report.markdown().split('\n') == [
            '**sizes**',
            '',
            '| side | ms |',
            '| --- | --- |',
            '| 32 | 0.123 |',
            '| 64 | 1235 |',
            '| 128 | - |',
            '',
            '**metrics**',
            '',
            '| metric | value |',
            '| --- | --- |',
            '| speed | 2.50 |',
        ]

    def test_row_of_another_length_is_an_error(self):
        with pytest.raises(ValueError, match='2 columns'):
            Report().table('sizes', ('side', 'ms'), [(32,)])

    def test_metric_is_finite_and_set_once(self):
        report = Report()
        with pytest.raises(ValueError, match='finite'):
            report.metric('speed', math.nan)
        report.metric('speed', 1)
        with pytest.raises(ValueError, match='twice'):
            report.metric('speed', 1)
        assert report.metrics == {'speed': 1.0}
