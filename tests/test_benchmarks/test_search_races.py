"""The steps that the search is raced against compute what their papers say, and the cost of a search adds up."""

import math

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from torch import nn

from benchmarks import other_searches, search_cost
from benchmarks.harness import Settings, Timing
from benchmarks.other_searches import AdversarialSearch, UnrolledSearch, gradient_penalty, shifted, unrolled_gradient
from benchmarks.races import c1_search_step, c2_search_cost
from benchmarks.search_hosts import CLASSIFIER, FRAMES, SEGMENTOR, build_model, random_batch, search_wrappers
from benchmarks.search_steps import NaiveSearchSteps, SearchSteps, count_passes
from mmdas.engine.runner.search_schedule import Round, SearchSchedule
from mmdas.engine.selection import Decision
from mmdas.engine.utils import find_cell
from mmdas.registry import DATASETS

CPU = torch.device('cpu')
SIDE = 16
HOSTS = {'classifier': CLASSIFIER, 'segmentor': SEGMENTOR}


def tiny(host, method: type[SearchSteps]) -> tuple[SearchSteps, dict]:
    """A method on a network of four channels, with its two batches of two images."""
    cfg = host.config('search')
    cfg.model.backbone.backbone.update(base_channels=4, stem_channels=4)
    for part, channels in (('head', 32), ('decode_head', 32), ('auxiliary_head', 16)):
        if part in cfg.model:
            cfg.model[part].head.in_channels = channels
    model = build_model(cfg, CPU, SIDE)
    batches = {f'{part}_batch': random_batch(cfg, 2, SIDE, seed) for seed, part in enumerate(('policy', 'weights'))}
    return method(model, search_wrappers(cfg, model)), batches


def run(host, method: type[SearchSteps]) -> tuple[SearchSteps, dict]:
    """A method after a step, and its losses."""
    search, batches = tiny(host, method)
    torch.manual_seed(0)
    return search, search.run(**batches)


def first_moment(search: SearchSteps) -> torch.Tensor:
    """Adam's of the policy: after one step its gradient, up to a factor."""
    (state,) = search.runner.optim_wrapper['policy'].optimizer.state.values()
    return state['exp_avg']


class TestUnrolledGradient:
    """Losses |A w - B p - batch|^2: their mixed derivatives are constant."""

    @pytest.fixture
    def problem(self):
        weights, policy = (torch.randn(count, dtype=torch.float64, requires_grad=True) for count in (5, 3))
        left, right = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
        batches = torch.randn(2, 4, dtype=torch.float64)

        def loss_at(w, p, batch):
            return (left @ w - right @ p - batch).square().sum()

        return weights, policy, batches, loss_at

    def test_equals_the_derivative_through_the_step(self, problem):
        weights, policy, (train, held_out), loss_at = problem
        rate = 0.03
        (step,) = torch.autograd.grad(loss_at(weights, policy, train), weights, create_graph=True)
        expected = torch.autograd.grad(loss_at(weights - rate * step, policy, held_out), policy)
        found = unrolled_gradient(
            lambda batch: loss_at(weights, policy, batch), train, held_out, [policy], [weights], rate
        )
        torch.testing.assert_close(found, list(expected), rtol=1e-8, atol=1e-8)

    def test_without_a_step_it_is_the_held_out_gradient(self, problem):
        weights, policy, (train, held_out), loss_at = problem
        expected = torch.autograd.grad(loss_at(weights, policy, held_out), policy)
        found = unrolled_gradient(
            lambda batch: loss_at(weights, policy, batch), train, held_out, [policy], [weights], rate=0.0
        )
        torch.testing.assert_close(found, list(expected))

    def test_weights_are_exactly_as_before(self, problem):
        weights, policy, (train, held_out), loss_at = problem
        before = weights.detach().clone()
        unrolled_gradient(lambda batch: loss_at(weights, policy, batch), train, held_out, [policy], [weights], 0.1)
        assert torch.equal(weights, before)

    def test_shift_ends_with_an_error_inside(self):
        weights = torch.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError), shifted([weights], [torch.ones(2)], 0.1):
            raise RuntimeError
        assert torch.equal(weights, torch.ones(2))


class TestGradientPenalty:
    def test_of_a_linear_critic_depends_on_its_slope_alone(self):
        slope = torch.randn(3, 4, 4, dtype=torch.float64)
        pair = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
        penalty = gradient_penalty(lambda images: (slope * images).sum(dim=(1, 2, 3)), *pair)
        torch.testing.assert_close(penalty, (slope.norm() - 1) ** 2)

    def test_trains_the_critic(self):
        critic = nn.Linear(6, 1).double()
        gradient_penalty(lambda x: critic(x.flatten(1))[:, 0], *torch.randn(2, 5, 6, dtype=torch.float64)).backward()
        expected = 2 * (1 - 1 / critic.weight.norm()) * critic.weight
        torch.testing.assert_close(critic.weight.grad, expected.detach())


class TestSteps:
    @pytest.mark.parametrize(
        ('method', 'forward', 'backward'),
        [(SearchSteps, 2, 2), (NaiveSearchSteps, 2, 2), (UnrolledSearch, 5, 5), (AdversarialSearch, 4, 5)],
    )
    @pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)
    def test_passes_of_a_step(self, host, method, forward, backward):
        search, batches = tiny(host, method)
        with count_passes(search.runner.model.backbone) as passes:
            search.run(**batches)
        assert (passes.forward, passes.backward) == (forward, backward)

    @pytest.mark.parametrize('method', c1_search_step.SEARCHES.values())
    def test_step_changes_policy_and_weights_and_leaves_no_gradient(self, method):
        search, batches = tiny(CLASSIFIER, method)
        model = search.runner.model
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        losses = search.run(**batches)
        changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        assert {'data_preprocessor.cell.logits', 'backbone.conv1.weight'} <= changed
        assert all(value.isfinite().all() for value in losses.values())
        assert all(value.requires_grad and value.grad is None for value in model.parameters())

    @pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)
    def test_naive_form_computes_the_same(self, host):
        (ours, losses), (naive, naive_losses) = run(host, SearchSteps), run(host, NaiveSearchSteps)
        torch.testing.assert_close(losses, naive_losses, rtol=1e-4, atol=1e-5)
        weights = [search.runner.model.backbone.layer1[0].conv1.weight for search in (ours, naive)]
        torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)
        gradients = [first_moment(search) for search in (ours, naive)]
        torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3 * gradients[0].abs().max().item())

    def test_race_gives_its_metrics(self, monkeypatch):
        case = c1_search_step.Case(CLASSIFIER, 1, SIDE, full_width=False)
        monkeypatch.setattr(c1_search_step, 'QUICK_CASES', (case,))
        monkeypatch.setattr(c1_search_step, 'QUICK_ROUNDS', 1)
        report = c1_search_step.run(Settings(quick=True))
        assert tuple(report.metrics) == c1_search_step.METRICS
        assert {row[1] for row in report.tables[0].rows} >= set(c1_search_step.SEARCHES)

    def test_naive_form_does_without_the_operators(self, monkeypatch):
        search, batches = tiny(CLASSIFIER, NaiveSearchSteps)
        monkeypatch.setattr('mmdas.search.das.fast.cell_operators.linear_clip', None)  # calling it fails
        search.run(**batches)
        search, batches = tiny(CLASSIFIER, SearchSteps)
        with pytest.raises(TypeError, match='NoneType'):
            search.run(**batches)

    def test_policy_of_the_unrolled_step_moves_by_the_unrolled_gradient(self, monkeypatch):
        search, batches = tiny(CLASSIFIER, UnrolledSearch)
        logits = find_cell(search.runner.model).logits
        before, gradient = logits.detach().clone(), torch.randn_like(logits)
        monkeypatch.setattr(other_searches, 'unrolled_gradient', lambda *_: [gradient])
        search.run(**batches)
        assert torch.equal((before - logits).sign(), gradient.sign())  # the first step of Adam goes by the sign


class TestCost:
    @pytest.fixture
    def quick_configs(self, monkeypatch):
        """Do not format the configs of runners, which takes longer than the iterations."""
        monkeypatch.setattr(Config, 'pretty_text', property(lambda config: repr(config.to_dict())))

    SCHEDULE = SearchSchedule(
        [
            Round('weights', 10),
            Round('policy', 20),
            Round('policy', 5),
            Round('selection', 1, Decision('operation', 0, 5)),
            Round('tuning', 2),
            Round('selection', 1, Decision('edges', 3, 4)),
            Round('tuning', 2),
        ],
        batches_per_decision=3,
    )
    TIMINGS = {
        'weights': Timing((2.0, 1.0, 3.0)),
        'policy': Timing((4.0, 4.0, 90.0)),
        'selection': Timing((0.5, 0.5, 0.5)),
        'tuning': Timing((1.0, 1.0, 1.0)),
    }

    def test_counts_are_those_of_the_schedule(self):
        counts = search_cost.phase_counts(self.SCHEDULE)
        assert counts == {'weights': 10, 'policy': 25, 'selection': (5 + 4) * 3, 'tuning': 4}

    def test_hours_are_the_sum_over_the_phases(self):
        costs = search_cost.phase_costs(search_cost.phase_counts(self.SCHEDULE), self.TIMINGS, scale=2)
        seconds = 2 * (10 * 2.0 + 25 * 4.0 + 27 * 0.5 + 4 * 1.0)
        assert search_cost.total_hours(costs) == pytest.approx(seconds / 3600)

    def test_selection_without_trials_costs_no_trial(self):
        schedule = SearchSchedule([Round('policy', 2), Round('selection', 1, Decision('all', 0, 0))], 0)
        assert search_cost.phase_counts(schedule) == {'policy': 2}

    def test_every_phase_of_a_whole_search_can_be_timed(self, quick_configs):
        search = c2_search_cost.SEARCHES[2]  # the one with tuning
        cfg = search_cost.without_files(search.host.config('search'), search.data, batch=1)
        cfg.model.backbone.backbone.update(base_channels=4, stem_channels=4)
        cfg.model.decode_head.head.in_channels, cfg.model.auxiliary_head.head.in_channels = 32, 16
        with search_cost.ready_search(cfg) as runner:
            steps = search_cost.phase_steps(runner.train_loop)
            assert set(steps) == {'weights', 'policy', 'selection', 'tuning'}
            for phase in ('weights', 'policy', 'tuning'):
                steps[phase]()
                assert runner.train_loop.schedule.round_at(runner.train_loop.iter - 1).phase == phase
            score = steps['selection']()
            assert math.isfinite(score.negative_loss)

    def test_hours_of_the_shipped_search_by_hand(self, monkeypatch, quick_configs):
        monkeypatch.setattr(c2_search_cost, 'SEARCHES', c2_search_cost.SEARCHES[:1])
        second = Timing((1.0,))
        monkeypatch.setattr(c2_search_cost, 'race', lambda steps, rounds, device: dict.fromkeys(steps, second))
        metrics = c2_search_cost.run(Settings(quick=True)).metrics
        batches = math.ceil(4660 / 2 / 64)
        trials = 14 * 5 + 3 + 4 + 5  # operations of every edge, then edges of the nodes that have more than two
        parts = 4  # of a batch, each of a second
        assert metrics == {
            'hours_quarter_width': pytest.approx(parts * (2 * batches + 4 * batches + 4 * trials) / 3600)
        }

    def test_sizes_of_the_data_are_those_of_the_real_sets(self, data_root):
        for search in c2_search_cost.SEARCHES:
            cfg = search.host.config('search')
            dataset = cfg.train_dataloader.dataset.dataset
            dataset.data_root = str(data_root.parent / dataset.data_root)
            with DefaultScope.overwrite_default_scope(cfg.default_scope):
                real = DATASETS.build({**dataset, 'serialize_data': False})
            assert len(real) == search.data.count
            assert tuple(sample_image(real).shape[:2]) == search.data.size


class TestHosts:
    @pytest.mark.parametrize('kind', ['plain', 'search'])
    @pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)
    def test_full_width_fits_together(self, host, kind):
        model = build_model(host.config(kind, full_width=True), CPU)
        assert model.backbone.feat_dim == 512
        frames = 1 if kind == 'plain' else FRAMES
        with torch.no_grad():
            model(torch.randn(2, 3 * frames, SIDE, SIDE), mode='tensor')


def sample_image(dataset: BaseDataset) -> np.ndarray:
    """First image of a data set, in memory or in a file."""
    info = dataset.get_data_info(0)
    return info['img'] if 'img' in info else mmcv.imread(info['img_path'])
