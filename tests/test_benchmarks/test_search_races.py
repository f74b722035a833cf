"""The steps that are raced take the passes that the tables count, and the cost of a search adds up."""

import math

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope

from benchmarks import search_cost
from benchmarks.harness import Settings, Timing
from benchmarks.passes import count_passes
from benchmarks.races import c1_search_step, c2_search_cost
from benchmarks.races.c1_search_step import DADA, FASTER_AA, NAIVE, OURS, STEPS, build_step, search_batches
from benchmarks.search_hosts import CLASSIFIER, SEGMENTOR, build_model, random_batch
from mmdas.engine import SearchStep
from mmdas.engine.runner.search_schedule import Round, SearchSchedule
from mmdas.engine.selection import Decision
from mmdas.registry import DATASETS

CPU = torch.device('cpu')
SIDE = 16
HOSTS = {'classifier': CLASSIFIER, 'segmentor': SEGMENTOR}


def tiny(host, name: str) -> tuple[SearchStep, dict]:
    """A method on a network of four channels, with its two batches of two images."""
    cfg = host.config('search')
    cfg.model.backbone.backbone.update(base_channels=4, stem_channels=4)
    for part, channels in (('head', 32), ('decode_head', 32), ('auxiliary_head', 16)):
        if part in cfg.model:
            cfg.model[part].head.in_channels = channels
    case = c1_search_step.Case(host, 2, SIDE)
    return build_step(case, cfg, name, CPU), search_batches(case, cfg)


def run(host, name: str) -> tuple[SearchStep, dict]:
    """A method after a step, and its losses."""
    step, batches = tiny(host, name)
    torch.manual_seed(0)
    return step, step.search(**batches)


def first_moment(step: SearchStep) -> torch.Tensor:
    """Adam's of the policy: after one step its gradient, up to a factor."""
    (state,) = step.optim_wrapper['policy'].optimizer.state.values()
    return state['exp_avg']


class TestSteps:
    @pytest.mark.parametrize(
        ('name', 'forward', 'backward'), [(OURS, 2, 2), (NAIVE, 2, 2), (DADA, 5, 5), (FASTER_AA, 4, 5)]
    )
    @pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)
    @pytest.mark.slow
    def test_passes_of_a_step_are_what_it_says(self, host, name, forward, backward):
        step, batches = tiny(host, name)
        with count_passes(step.model.backbone) as passes:
            step.search(**batches)
        assert (passes.forward, passes.backward) == (forward, backward)
        assert step.passes == (forward + backward) / 2

    @pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)
    @pytest.mark.slow
    def test_naive_form_computes_the_same(self, host):
        (ours, losses), (naive, naive_losses) = run(host, OURS), run(host, NAIVE)
        torch.testing.assert_close(losses, naive_losses, rtol=1e-4, atol=1e-5)
        weights = [step.model.backbone.layer1[0].conv1.weight for step in (ours, naive)]
        torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)
        gradients = [first_moment(step) for step in (ours, naive)]
        torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3 * gradients[0].abs().max().item())

    @pytest.mark.slow
    def test_race_gives_its_metrics(self, monkeypatch):
        case = c1_search_step.Case(CLASSIFIER, 1, SIDE, full_width=False)
        monkeypatch.setattr(c1_search_step, 'QUICK_CASES', (case,))
        monkeypatch.setattr(c1_search_step, 'QUICK_ROUNDS', 1)
        report = c1_search_step.run(Settings(quick=True))
        assert tuple(report.metrics) == c1_search_step.METRICS
        assert {row[1] for row in report.tables[0].rows} >= set(STEPS)

    @pytest.mark.slow
    def test_naive_form_does_without_the_operators(self, monkeypatch):
        step, batches = tiny(CLASSIFIER, NAIVE)
        monkeypatch.setattr('mmdas.search.das.fast.cell_operators.linear_clip', None)  # calling it fails
        step.search(**batches)
        step, batches = tiny(CLASSIFIER, OURS)
        with pytest.raises(TypeError, match='NoneType'):
            step.search(**batches)


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

    def test_iterations_that_leave_the_policy_alone_count_as_those_of_the_weights(self):
        schedule = SearchSchedule([Round('image', 3), Round('weights', 2), Round('policy', 10)], 0, policy_interval=3)
        assert search_cost.phase_counts(schedule) == {'image': 3, 'weights': 8, 'policy': 4}

    def test_hours_are_the_sum_over_the_phases(self):
        costs = search_cost.phase_costs(search_cost.phase_counts(self.SCHEDULE), self.TIMINGS, scale=2)
        seconds = 2 * (10 * 2.0 + 25 * 4.0 + 27 * 0.5 + 4 * 1.0)
        assert search_cost.total_hours(costs) == pytest.approx(seconds / 3600)

    def test_selection_without_trials_costs_no_trial(self):
        schedule = SearchSchedule([Round('policy', 2), Round('selection', 1, Decision('all', 0, 0))], 0)
        assert search_cost.phase_counts(schedule) == {'policy': 2}

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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
    @pytest.mark.slow
    def test_full_width_fits_together(self, host, kind):
        cfg = host.config(kind, full_width=True)
        model = build_model(cfg, CPU, SIDE)
        assert model.backbone.feat_dim == 512
        with torch.no_grad():
            data = model.data_preprocessor(random_batch(cfg, 2, SIDE, seed=0), True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        assert loss.isfinite()


def sample_image(dataset: BaseDataset) -> np.ndarray:
    """First image of a data set, in memory or in a file."""
    info = dataset.get_data_info(0)
    return info['img'] if 'img' in info else mmcv.imread(info['img_path'])
