"""The accuracy tables: their rows, a run from end to end on made-up images, and what the page computes."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import nn

from benchmarks.accuracy import unused_images
from benchmarks.accuracy.__main__ import RESULTS, is_done, main, plan, read
from benchmarks.accuracy.clip_distance import distance
from benchmarks.accuracy.cost import WARM_UP, cost, policy_file, search_cost, timed
from benchmarks.accuracy.distant_cues import COLOURS, DISTANCE, HALF_BAND, HEIGHT, WIDTH, make_scene
from benchmarks.accuracy.means import front, shared_iterations, spread, with_common_end
from benchmarks.accuracy.probes import classification_views, predict, reference_alone, score, with_views
from benchmarks.accuracy.recorder import CurveRecorder
from benchmarks.accuracy.removals import removals
from benchmarks.accuracy.report import priced, replace_between
from benchmarks.accuracy.rows import DILATED, ROWS, Row
from benchmarks.accuracy.run import curve_points, find_policy, run_config, search, search_config, train
from benchmarks.accuracy.tasks import TASKS
from mmdas.apis import load_config, preprocessor_of
from mmdas.engine.selection import Score
from mmdas.search.das import DASCell, Policy, PolicyEdge

# the rows


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.slow
def test_rows_have_names_of_their_own_and_configs(task: str):
    names = [row.name for row in ROWS[task]]
    assert len(set(names)) == len(names)
    # rows of equal networks have equal configs, but for their policies; the other hosts are like these two
    every = task in ('cifar10', 'camvid')
    rows = {(every and (row.fusion, row.pooling), row.frames > 1, str(row.options)): row for row in ROWS[task]}
    for row in rows.values():
        cfg = run_config(TASKS[task], row, 'repeat')
        assert cfg.get('num_frames', 1) == row.frames
        if row.frames > 1:
            assert f'-{row.frames}f-{row.fusion}' in row.name
            head = cfg.model['head' if task.startswith('cifar10') else 'decode_head']
            assert head.get('pooling', 'mean') == row.pooling


@pytest.mark.parametrize('frames', [1, 4])
@pytest.mark.slow
def test_options_of_a_row_reach_the_hosts_model(frames: int):
    row = Row('x', 'x', frames=frames, options={'model.backbone.dilations': (4,)})
    backbone = run_config(TASKS['camvid_narrow'], row, 'repeat').model.backbone
    assert backbone.get('backbone', backbone).dilations == (4,)


def test_rows_share_a_search_exactly_where_their_clips_are_the_same():
    keys = {row.name: row.search_key for row in ROWS['cifar10'] if row.clip == 'search'}
    assert keys['das-4f-gsf'] == keys['das-4f-tsm'] == keys['das-4f-none']
    others = [f'{clip}-4f-gsf' for clip in ('das', 'chain', 'mirrored', 'argmax', 'large', 'drawn', 'learned')]
    others += ['das-2f-gsf'] + [f'das-4f-gsf-{kind}' for kind in ('reference', 'undecayed', 'renormalized')]
    others += [f'{kind}-4f-gsf' for kind in ('strengths', 'gumbel-strengths')]
    others += [f'{kind}-4f-gsf-undecayed' for kind in ('argmax', 'late')] + ['look-ahead-4f-tsm', 'flips-4f-tsm']
    assert len({keys[name] for name in others}) == len(others)
    assert keys['argmax-4f-tsm-undecayed'] == keys['argmax-4f-gsf-undecayed']


@pytest.mark.slow
def test_rows_of_a_step_and_a_space_search_with_them():
    rows = {row.name: row for row in ROWS['cifar10']}
    found = {name: search_config(SMALL, rows[f'{name}-4f-tsm'], 0) for name in ('look-ahead', 'flips')}
    assert found['look-ahead'].train_cfg.step.type == 'mmdas.LookAheadStep'
    assert preprocessor_of(found['look-ahead']).cell.space == 'paper'
    assert preprocessor_of(found['flips']).cell.space == 'flips'
    assert found['flips'].train_cfg.get('step') is None


def test_first_seeds_of_all_rows_come_before_the_second_ones():
    rows = [Row('a', 'a', seeds=(5, 6)), Row('b', 'b', seeds=(7, 8, 9))]
    assert [seed for _, seed in plan(rows, None)] == [5, 7, 6, 8, 9]
    assert [seed for _, seed in plan(rows, 1)] == [5, 7]


def test_curve_ends_with_the_training_and_has_the_points_of_all_rows():
    task = TASKS['cifar10']
    assert curve_points(task, 3600)[-1] == 3600
    assert set(curve_points(task, 2400)) <= set(curve_points(task, 9600))


# a run from end to end


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ten classes of images in the layout of cifar10-jpeg; every class has its own gray level."""
    for split in ('train', 'test'):
        for label in range(10):
            folder = tmp_path / f'data/cifar10-jpeg/{split}/{label}'
            folder.mkdir(parents=True)
            for number in range(8):
                image = np.full((32, 32, 3), 25 * label, np.uint8)
                cv2.imwrite(str(folder / f'{number}.jpg'), image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = replace(TASKS['cifar10'], iterations=4, points=1, search_iterations=3, search_warmup=1)


@pytest.mark.parametrize('clip', ['repeat', 'random', 'search'])
@pytest.mark.slow
def test_record_of_a_row_has_its_curve_its_cost_and_its_policy(workplace: Path, clip: str):
    record = train(SMALL, Row('x', 'x', frames=2, clip=clip, selection='ArgmaxSelection'), 0, workplace)
    json.dumps(record)
    assert [point['iterations'] for point in record['curve']] == [4]
    assert record['train_frames'] == 2 * 4 * 64
    assert 0 <= record['score'] <= 100
    assert record['train_seconds'] > 0
    assert (record['search_seconds'] is not None) == (clip == 'search')
    if clip == 'repeat':
        assert record['policy'] is None
        assert record['reference'] == record['score']  # all frames are equal, and so are their predictions
    else:
        assert Policy.from_dict(record['policy']).num_frames == 2
        assert str(workplace) not in json.dumps(record)


@pytest.mark.slow
def test_row_whose_reference_frame_predicts_has_its_score(workplace: Path):
    record = train(SMALL, Row('x', 'x', frames=2, clip='random', pooling='reference'), 0, workplace)
    assert record['reference'] == record['score']


@pytest.mark.parametrize('frames', [1, 2])
@pytest.mark.slow
def test_rows_are_tested_with_views(workplace: Path, frames: int):
    record = train(SMALL, Row('x', 'x', frames=frames), 0, workplace)
    assert {'tta2', 'tta4', 'tta8'} <= record.keys()
    assert (record['fusion'] is None) == (frames == 1)


@pytest.mark.slow
def test_run_ends_at_its_limit_with_a_point_of_the_curve(workplace: Path):
    task = replace(SMALL, iterations=10**6)
    row = Row('x', 'x', frames=2)
    record = train(task, row, 0, workplace, limit=0.5)
    assert 0 < record['curve'][-1]['iterations'] < 10**6
    assert [is_done([record], row, 0, task.iterations, limit) for limit in (0.5, 1, math.inf)] == [True, False, False]
    assert {'score', 'reference', 'tta2'} <= record.keys()


@pytest.mark.slow
def test_row_goes_on_from_the_plain_weights_and_counts_what_they_cost(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    starts, begin = [], CurveRecorder.before_train

    def note_weights(self: CurveRecorder, runner: Runner) -> None:
        starts.append(runner.model.state_dict()['backbone.conv1.weight'].clone())
        begin(self, runner)

    monkeypatch.setattr(CurveRecorder, 'before_train', note_weights)
    row = Row('x', 'x', frames=2, plain_before=1, budget=0.5)
    first = train(SMALL, row, 0, workplace)
    path = workplace / 'plain/4-0.pth'
    plain = torch.load(path, weights_only=True)
    plain['cost']['train_seconds'] = 1000.0
    torch.save(plain, path)
    second = train(SMALL, row, 0, workplace)
    assert len(starts) == 3  # the plain model is trained once
    assert all(torch.equal(start, plain['state_dict']['backbone.conv1.weight']) for start in starts[1:])
    assert [point['iterations'] for point in first['curve']] == [4 + 2]
    assert first['train_frames'] == 64 * (4 + 2 * 2)
    assert second['train_seconds'] > 1000 > first['train_seconds'] > 0
    assert is_done([first], row, 0, SMALL.iterations)
    assert not is_done([first], replace(row, budget=1), 0, SMALL.iterations)
    assert second['score'] == first['score']


@pytest.mark.parametrize(('teacher', 'augment'), [('plain', ''), ('augment-das-4f-tsm-rand', 'rand')])
@pytest.mark.slow
def test_row_learns_from_a_teacher_that_is_trained_once(workplace: Path, teacher: str, augment: str):
    more = dict(teachers=2) if augment else dict(cached=True, teacher_budget=0.5)
    row = Row('x', 'x', frames=1, budget=0.5, teacher=teacher, augment=augment, views=2, **more)
    first = train(SMALL, row, 0, workplace)
    iterations = 2 if augment else 1
    path = workplace / f'teachers/{teacher}-{iterations}-0/teacher.pth'
    content = torch.load(path, weights_only=True)
    assert first['teacher']['row'] == teacher
    assert (
        first['teacher'].get('cached', False)
        == row.cached
        == (workplace / 'work_dirs/cifar10/teacher_logits.pt').exists()
    )
    assert first['teacher']['iterations'] == iterations * row.teachers
    assert first['teacher']['score'] == content['score'] or augment
    assert first['frames'] == 1
    torch.save({**content, 'score': 12.5}, path)
    second = train(SMALL, row, 0, workplace)
    assert second['teacher']['score'] == 12.5 or augment
    assert second['score'] == first['score']
    assert str(workplace) not in json.dumps(first)


@pytest.mark.slow
def test_row_trains_on_unused_images_with_the_labels_of_a_teacher(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unused_images, 'ROOT', workplace)
    plain = load_config(SMALL.path)
    plain.train_dataloader.dataset.per_class = 5
    monkeypatch.setattr(unused_images, 'load_config', lambda path: copy.deepcopy(plain))
    row = Row('x', 'x', frames=1, labelled_by='plain', options={'train_dataloader.dataset.per_class': 5})
    record = train(SMALL, row, 0, workplace)
    assert (record['teacher']['unused'], record['teacher']['labelled']) == (30, 30)  # three of eight a class
    assert record['teacher']['label_seconds'] > 0
    links = sorted((workplace / 'unused/x-0/images').iterdir())
    assert {int(link.resolve().stem) for link in links} == {5, 6, 7}
    assert len((workplace / 'unused/x-0/train_dataloader.txt').read_text().splitlines()) == 50


@pytest.mark.slow
def test_longer_warm_up_leaves_the_steps_of_the_policy_as_many(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    configs = []
    monkeypatch.setattr('benchmarks.accuracy.run.run', configs.append)
    for warmups in (1, 20):
        search(TASKS['cifar10'], Row('x', 'x', clip='search', warmups=warmups), 0, workplace / str(warmups))
    lengths = [(cfg.train_cfg.warmup_iters, cfg.train_cfg.max_iters) for cfg in configs]
    assert lengths == [(200, 600), (4000, 4400)]


def test_longest_record_of_a_row_and_seed_counts(tmp_path: Path):
    path = tmp_path / 'records.jsonl'
    entries = [record(0, (200, 2, 50)), record(0, (100, 1, 40)), record(1, (100, 1, 41)), record(1, (100, 1, 42))]
    path.write_text('\n'.join(map(json.dumps, entries)))
    assert [entry['curve'][-1]['score'] for entry in read(path)] == [50, 42]


def test_unknown_seed_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr('sys.argv', ['accuracy', 'cifar10', '--rows', 'plain', '--seed', '99'])
    with pytest.raises(SystemExit):
        main()
    assert '--seed 99: none of these rows has that seed' in capsys.readouterr().err


@pytest.mark.slow
def test_cost_of_a_searched_row_is_measured(workplace: Path):
    row = Row('x', 'x', frames=2, clip='search', selection='ArgmaxSelection')
    result = cost(SMALL, row, None, workplace)
    times = {f'{name}_milliseconds' for name in ('test', 'tta2', 'tta4', 'tta8')}
    assert set(result) == {'iteration_seconds', 'search_seconds'} | times
    assert min(result.values()) > 0
    given = Policy(2, 1, (PolicyEdge(0, 2, 'rotate', 1.0),))
    assert Policy.load(policy_file(SMALL, row, given.to_dict(), workplace)).edges == given.edges
    with pytest.raises(ValueError, match='cost of PerturbationSelection in the row x is not measured'):
        search_cost(SMALL, replace(row, selection='PerturbationSelection'), workplace)


def test_median_of_the_steps_after_the_warm_up_is_the_cost(monkeypatch: pytest.MonkeyPatch):
    clock, durations = [0.0], iter([100.0] * WARM_UP + [1.0, 2.0] * 20)
    monkeypatch.setattr('benchmarks.harness.time.perf_counter', lambda: clock[0])

    def step() -> None:
        clock[0] += next(durations)

    assert timed(step) == 1.5


# the scenes that need context


@pytest.mark.parametrize('seed', range(5))
def test_class_of_a_pixel_is_the_colour_above_it(seed: int):
    image, label = make_scene((seed,))
    rows, columns = np.nonzero(label != 255)
    assert len(set(columns)) == image.shape[1]
    distances = np.abs(image[:, None].astype(int) - np.array(COLOURS)[:, None]).sum(-1)  # (height, colour, width)
    kinds = distances[rows - DISTANCE, :, columns].argmin(1)
    assert np.array_equal(label[rows, columns], kinds)
    assert set(kinds) == {0, 1}


SHIFT = Row('x', 'x', fusion='tsm', clip='translate_y', cell={'strength': -0.06}, pooling='reference')


@pytest.mark.parametrize(
    ('row', 'visible'),
    [
        (replace(SHIFT, frames=1, clip='repeat'), False),
        (replace(SHIFT, clip='repeat'), False),
        (replace(SHIFT, fusion='none'), False),
        (SHIFT, True),
        (DILATED, True),
    ],
    ids=['plain', 'repeat', 'no fusion', 'shift', 'dilated'],
)
@pytest.mark.slow
def test_cue_is_seen_through_a_shifted_frame_and_by_a_dilated_network_alone(tmp_path: Path, row: Row, visible: bool):
    """The receptive field of the reference frame, from the gradient of its prediction."""
    task = TASKS['distant_cues']
    policy, _ = find_policy(task, row, 0, tmp_path)
    cfg = run_config(task, row, 'repeat', policy)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    image = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for label in range(80, 84):  # rows of a gray band; the network has a stride of four
        logits = model.encode_decode(image, [{'img_shape': (HEIGHT, WIDTH)}])
        (gradient,) = torch.autograd.grad(logits[0, 0, label].sum(), image)
        cue = slice(label - DISTANCE - HALF_BAND, label - DISTANCE + 2 * HALF_BAND + 1)
        assert (gradient[..., cue, :].abs().max() > 0) == visible
        assert gradient[..., label, :].abs().max() > 0


# what is measured


def test_distance_of_a_clip_is_zero_only_where_every_frame_is_the_image():
    batches = [torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    edges = [PolicyEdge(0, 2, 'identity', 0.0)], [PolicyEdge(0, 2, 'translate_x', 0.5)]
    still, shifted = (distance(Policy(2, 1, tuple(edge)), batches) for edge in edges)
    assert still == 0
    assert shifted > 0.5  # half of one of the two frames is empty, the rest is another half of the noise


def test_removals_tell_which_operation_the_loss_wants():
    cell = DASCell(num_frames=3, num_nodes=2)
    nn.init.zeros_(cell.logits)
    table = removals(cell, lambda: Score(0.0, cell.weights()[:, 2].sum().item()))
    rows = {cells[0]: cells[1:] for cells in ([*map(str.strip, line.split('|')[1:-1])] for line in table.splitlines())}
    assert rows['translate_y'] == ['0.20', '+0.2000', '5', '+0.2000', '5']
    # Without renormalisation the wanted operation keeps its weight; else it takes a quarter of what becomes free.
    assert rows['rotate'] == ['0.20', '+0.0000', '0', '-0.0500', '0']


class Oracle(nn.Module):
    """Scores that are highest at the label that the images carry in their first pixel."""

    @staticmethod
    def data_preprocessor(batch: dict, training: bool) -> dict:
        return batch

    def forward(self, images: torch.Tensor, mode: str) -> torch.Tensor:
        return nn.functional.one_hot(images[:, 0, 0, 0].long(), 10).float()


class Sample:
    def __init__(self, label: int) -> None:
        self.gt_label = torch.tensor([label])


def labelled(labels: list[int], shown: list[int]) -> list[dict]:
    images = torch.tensor(shown).float().reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    return [{'inputs': images, 'data_samples': [Sample(label) for label in labels]}]


def test_score_is_the_share_of_right_answers():
    assert score(Oracle(), labelled([1, 2, 3, 4], [1, 2, 3, 9])) == 75.0


def test_one_view_is_the_image_itself():
    images = torch.rand(2, 3, 16, 16)
    views = classification_views(images, 8)
    assert torch.equal(views[0], images)
    assert torch.equal(views[1].flip(-1), images)
    assert len({view.sum().item() for view in views[1:]}) > 1
    batch = labelled([1], [1])[0]
    expected = predict(Oracle(), batch['inputs'], []).softmax(1)
    assert torch.equal(with_views(1)(Oracle(), batch['inputs'], []), expected)


def test_views_of_a_clip_are_clips_of_the_views():
    class Preprocessor:
        num_frames = 2
        gives_images = False

        @staticmethod
        def to_clip(images: torch.Tensor) -> torch.Tensor:
            return torch.cat([images.cumsum(-1), images], 1)  # not the mirror image of what the mirror image gives

    class Listener(nn.Module):
        data_preprocessor = Preprocessor

        def forward(self, clips: torch.Tensor, mode: str) -> torch.Tensor:
            seen.append(clips)
            return torch.zeros(len(clips), 10)

    seen: list[torch.Tensor] = []
    images = torch.rand(2, 3, 16, 16)
    with_views(4)(Listener(), Preprocessor.to_clip(images), [])
    expected = [Preprocessor.to_clip(view) for view in classification_views(images, 4)]
    assert all(torch.equal(clips, wanted) for clips, wanted in zip(seen, expected, strict=True))


def test_reference_frame_alone_leaves_the_pooling_as_it_was():
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.temporal_pooling = nn.Module()
            self.temporal_pooling.mode = 'mean'

        def forward(self, images: torch.Tensor, mode: str) -> str:
            return self.temporal_pooling.mode

    model = Pooled()
    assert reference_alone(model, torch.zeros(1), []) == 'reference'
    assert model.temporal_pooling.mode == 'mean'


# the page


def record(seed: int, *points: tuple[int, float, float]) -> dict:
    curve = [{'iterations': i, 'train_seconds': s, 'score': value} for i, s, value in points]
    return {'row': 'plain', 'seed': seed, 'curve': curve}


def test_front_is_the_best_mean_within_the_seconds_over_points_that_all_seeds_have():
    records = [record(0, (1, 10, 50), (2, 20, 60), (3, 30, 58)), record(1, (1, 10, 52), (2, 20, 62))]
    assert front(records, 15) == 51
    assert front(records, 100) == 61
    assert front(records, 5) is None


def test_ends_that_the_clock_set_close_together_are_one_point():
    records = [record(0, (100, 10, 50), (205, 20, 60)), record(1, (100, 10, 52), (203, 20, 62))]
    assert shared_iterations(records) == [100]
    assert shared_iterations(with_common_end(records)) == [100, 203]
    assert front(with_common_end(records), 100) == 61
    regular = record(0, (100, 10, 50), (203, 20, 60), (205, 21, 61))
    assert [p['score'] for p in with_common_end([regular, records[1]])[0]['curve']] == [50, 61]
    apart = [record(0, (100, 10, 50), (150, 20, 60)), record(1, (100, 10, 52), (203, 20, 62))]
    assert with_common_end(apart) == apart


def test_seconds_are_those_that_were_measured_alone(tmp_path: Path):
    records = [{**record(0, (100, 10, 50)), 'test_milliseconds': 9.0, 'search_seconds': None}]
    path = tmp_path / 'cost.json'
    assert priced(records, path) == records
    costs = {'iteration_seconds': 0.25, 'test_milliseconds': 3.0, 'search_seconds': 8.0, 'device': 'a GPU'}
    path.write_text(json.dumps({'plain': costs}))
    (alone,) = priced(records, path)
    assert alone['curve'] == [{'iterations': 100, 'train_seconds': 25.0, 'score': 50}]
    assert alone['test_milliseconds'] == 3.0
    assert alone['search_seconds'] == 8.0
    with pytest.raises(ValueError, match='cost.json has no row other; run python -m benchmarks.accuracy.cost'):
        priced([{**records[0], 'row': 'other'}], path)


def test_spread_is_mean_and_sample_deviation():
    assert spread([50.0, 52.0]) == '51.00 ± 1.41'
    assert spread([50.0]) == '50.00'


def test_table_is_written_between_its_marks_and_again():
    page = 'a\n<!-- x: begin of what the command writes -->\nold\n<!-- x: end of what the command writes -->\nb'
    once = replace_between(page, 'x', 'new')
    assert 'old' not in once
    assert once.startswith('a\n')
    assert once.endswith('\nb')
    assert replace_between(once, 'x', 'new') == once
    with pytest.raises(ValueError, match='no marks'):
        replace_between('', 'x', 'new')


@pytest.mark.parametrize('task', TASKS)
def test_records_are_of_rows_that_exist_and_name_no_folder_of_a_machine(task: str):
    path = RESULTS / f'accuracy-{task}.jsonl'
    names = {row.name for row in ROWS[task]}
    for entry in read(path):
        assert entry['row'] in names
        assert entry['task'] == TASKS[task].host
        config = ((entry['policy'] or {}).get('origin') or {}).get('config', '')
        assert not config.startswith('/')
