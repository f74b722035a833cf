"""The search of views with configs and checkpoints of both toolboxes."""

import json
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from sides import SCOPES, SIZE, Sides, loader, make_config, model_config, save_weights

from mmdas.apis import Inferencer, ViewSearchOptions, build_runner, search_views, use_views
from mmdas.commands import search_tta
from mmdas.commands import test as test_command
from mmdas.commands import train as train_command
from mmdas.commands.parser import CommandError, Parser
from mmdas.commands.run_options import add_run_arguments
from mmdas.search.das import Policy
from mmdas.search.test_time import View, ViewPolicy

GROUPS = dict(groups=('flip', 'shift'), max_views=2)
FLIPS = ViewPolicy((View(), View(flip=True)), (0.6, 0.4))
METRICS = {'mmseg': 'mIoU', 'mmpretrain': 'accuracy/top1'}


def search(scope: str, folder: Path, cfg_options: dict | None = None, **options):
    cfg = make_config(scope, folder, **(cfg_options or {}))
    return search_views(cfg, save_weights(scope, folder), ViewSearchOptions(**{**GROUPS, **options}))


def run_test(scope: str, folder: Path, policy: Path | None = None) -> dict:
    cfg = make_config(scope, folder, load_from=save_weights(scope, folder))
    cfg.experiment_name += f'-test-{policy is None}'
    if policy is not None:
        use_views(cfg, policy)
    runner: Runner = build_runner(cfg)
    return runner.test()


@pytest.mark.parametrize('scope', SCOPES)
def test_search_finds_the_mirror_image_and_the_test_with_it_is_better(scope: str, tmp_path: Path):
    found = search(scope, tmp_path).policy
    assert any(view.flip for view in found.views)
    scores, data = found.origin['scores'], found.origin['data']
    assert scores['views'] > scores['image'] + 10
    assert (data['learn'], data['decide'], found.origin['metric']) == (40, 40, METRICS[scope])
    assert 'warning' not in data
    found.save(tmp_path / 'views.json')
    plain, better = run_test(scope, tmp_path), run_test(scope, tmp_path, tmp_path / 'views.json')
    assert better[METRICS[scope]] > plain[METRICS[scope]] + 10


@pytest.mark.parametrize('scope', SCOPES)
def test_scores_of_the_search_are_those_of_tests_of_the_same_images(scope: str, tmp_path: Path):
    found = search(scope, tmp_path).policy
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    learners = torch.randperm(80, generator=torch.Generator().manual_seed(0))[:40]
    decide = [int(order[place]) for place in range(80) if place not in learners.tolist()]
    for policy, name in ((ViewPolicy(), 'image'), (ViewPolicy(found.views, found.weights), 'views')):
        policy.save(tmp_path / 'views.json')
        cfg = make_config(scope, tmp_path, load_from=save_weights(scope, tmp_path))
        cfg.experiment_name += name
        cfg.test_dataloader = ConfigDict(loader(scope, seed=1, indices=decide))
        use_views(cfg, tmp_path / 'views.json')
        assert build_runner(cfg).test()[METRICS[scope]] == pytest.approx(found.origin['scores'][name], abs=1e-3)


@pytest.mark.parametrize('scope', SCOPES)
@pytest.mark.parametrize('seed', range(3))
def test_views_are_kept_where_they_are_better_and_nowhere_else(scope: str, seed: int, tmp_path: Path):
    found = search(scope, tmp_path, groups=('colour',), seed=seed).policy
    scores = found.origin['scores']
    assert found.is_image == (scores['views'] <= scores['image'])
    assert (found.origin['decision'] == 'image alone') == found.is_image
    assert found.origin['tried']


def test_at_most_the_given_number_of_images_is_used(tmp_path: Path):
    data = search('mmpretrain', tmp_path, images=12).policy.origin['data']
    assert (data['learn'], data['decide']) == (6, 6)


def test_validation_that_is_the_test_is_told(tmp_path: Path):
    same = loader('mmpretrain', seed=2)
    found = search('mmpretrain', tmp_path, dict(val_dataloader=same, test_dataloader=same)).policy
    assert 'optimistic' in found.origin['data']['warning']


@pytest.mark.parametrize('scope', SCOPES)
def test_part_of_the_training_set_is_seen_as_in_a_test(scope: str, tmp_path: Path):
    flip = dict(type='RandomFlip', prob=0.5, **({'direction': 'horizontal'} if scope == 'mmpretrain' else {}))
    train = loader(scope, seed=5)
    train['dataset']['pipeline'].insert(0, flip)
    train['dataset'] = dict(type='RepeatDataset', times=3, dataset=train['dataset'])
    found = search(scope, tmp_path, dict(train_dataloader=train), holdout=0.5).policy
    assert (found.origin['data']['learn'], found.origin['data']['decide']) == (20, 20)
    assert 'may have learned these images' in found.origin['data']['warning']
    again = search(scope, tmp_path, dict(train_dataloader=train, experiment_name='again'), holdout=0.5).policy
    assert again.origin['scores'] == found.origin['scores']  # nothing is drawn anew


def test_part_that_the_training_left_out_is_taken_without_a_warning(tmp_path: Path):
    train = loader('mmpretrain', seed=5)
    train['dataset'] = dict(type='mmdas.HoldoutDataset', part='weights', ratio=0.25, seed=3, dataset=train['dataset'])
    facts = search('mmpretrain', tmp_path, dict(train_dataloader=train), holdout=0.25).policy.origin['data']
    assert 'warning' not in facts
    assert (facts['learn'] + facts['decide'], facts['ratio'], facts['seed']) == (20, 0.25, 3)
    with pytest.raises(ValueError, match='left out 0.25.*--holdout 0.25'):
        search('mmpretrain', tmp_path, dict(train_dataloader=train), holdout=0.5)


@pytest.mark.parametrize(
    ('cfg_options', 'options', 'message'),
    [
        (dict(val_dataloader=None, val_cfg=None, val_evaluator=None), {}, 'no val_dataloader.*--holdout RATIO'),
        ({}, dict(metric='mAP'), "no metric 'mAP'; give --metric one of .'accuracy/top1'"),
        ({}, dict(holdout=1.5), '--holdout is 1.5'),
        (dict(val_dataloader=loader('mmpretrain', unlabelled=True)), {}, 'has no gt_label'),
        (dict(val_dataloader=loader('mmpretrain', count=1)), {}, 'there are 1 held-out images'),
        (dict(launcher='pytorch'), {}, 'one process'),
        (dict(default_scope='mmdet'), {}, 'no views at test time for models of mmdet'),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_remedy(cfg_options, options, message, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        search('mmpretrain', tmp_path, cfg_options, **options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(max_views=0), '--max-views is 0'),
        (dict(price=float('nan')), '--price is nan'),
        (dict(images=1), '--images is 1'),
        (dict(groups=('mirror',)), "no group of views 'mirror'"),
    ],
)
def test_unusable_option_is_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ViewSearchOptions(**options)


def test_images_without_colours_are_searched_without_them(tmp_path: Path):
    model = make_config('mmpretrain', tmp_path).model
    model.data_preprocessor.update(mean=[900.0] * 3)
    found = search('mmpretrain', tmp_path, dict(model=model), groups=('flip', 'colour')).policy
    assert found.origin['search_cost']['views'] == 2


@pytest.mark.parametrize('scope', SCOPES)
def test_inferencer_averages_the_views(scope: str, tmp_path: Path):
    cfg, checkpoint = make_config(scope, tmp_path), save_weights(scope, tmp_path)
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type='LoadImageFromFile'))
    FLIPS.save(tmp_path / 'views.json')
    image = Sides(count=1)[0]['img']
    plain = Inferencer(cfg.copy(), checkpoint, device='cpu')
    views = Inferencer(cfg.copy(), checkpoint, device='cpu', policy=tmp_path / 'views.json')
    mirror = np.ascontiguousarray(image[:, ::-1])
    if scope == 'mmpretrain':
        expected = 0.6 * plain(image)[0]['pred_scores'] + 0.4 * plain(mirror)[0]['pred_scores']
        np.testing.assert_allclose(views(image)[0]['pred_scores'], expected, atol=1e-5)
        return
    shown = views(image)['predictions']
    truth = cv2.resize(Sides(count=1)[0]['gt_seg_map'], (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    right = [(label_map == truth)[truth != 255].mean() for label_map in (plain(image)['predictions'], shown)]
    assert right[1] >= right[0]
    assert not np.array_equal(shown, plain(image)['predictions'])


def command_line(*arguments: str) -> Namespace:
    parser = Parser(prog='mmdas search')
    add_run_arguments(parser)
    search_tta.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[str, str]:
    """Files of a config and a checkpoint."""
    cfg = make_config('mmpretrain', tmp_path)
    cfg.dump(tmp_path / 'model.py')
    return str(tmp_path / 'model.py'), save_weights('mmpretrain', tmp_path)


def test_command_ends_with_policy_picture_cost_and_the_next_command(saved, tmp_path: Path, capsys, monkeypatch):
    config, checkpoint = saved
    arguments = ('--views', 'flip', '--cfg-options', 'log_level=WARNING')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        search_tta.run(command_line(config, '--checkpoint', checkpoint, *arguments))
    text = capsys.readouterr().out
    path = tmp_path / 'run' / 'views.json'
    assert set(ViewPolicy.load(path).views) == {View(), View(flip=True)}
    assert json.loads(path.read_text())['origin']['scores']
    assert path.with_suffix('.png').stat().st_size > 1000
    assert f'mmdas test {config} {checkpoint} --policy {path}' in text
    for word in ('accuracy/top1 of 40 images', 'milliseconds an image', 'seconds of the search', 'flip'):
        assert word in text


def test_next_command_names_all_that_decides_the_model(saved, tmp_path: Path):
    das = ('--das', 'repeat', '--frames', '2', '--fusion', 'none', '--accept-difference')
    options = ('--cfg-options', 'model.head.topk=1,5', 'work_dir=x')
    args = command_line(saved[0], '--checkpoint', saved[1], *das, *options)
    command = search_tta.test_command(tmp_path / 'views.json', args)
    again = parsed(test_command, *command[2:])
    for name in ('config', 'checkpoint', 'das', 'frames', 'fusion', 'accept_difference', 'cfg_options'):
        assert getattr(again, name) == getattr(args, name)
    assert again.policy == str(tmp_path / 'views.json')


def test_a_policy_of_views_takes_neither_a_folder_nor_the_place_of_its_picture(tmp_path: Path):
    with pytest.raises(ValueError, match='is a folder; give a file, such as .*views.json'):
        search_tta.check_file(tmp_path)
    with pytest.raises(ValueError, match='x.png would be the picture of the policy; give a name that ends with .json'):
        search_tta.check_file(tmp_path / 'x.png')
    search_tta.check_file(tmp_path / 'x.json')


def test_command_without_checkpoint_is_refused(saved):
    with pytest.raises(CommandError, match='give --checkpoint FILE'):
        search_tta.run(command_line(saved[0]))


def test_options_that_nothing_would_read_are_refused(saved):
    with pytest.raises(ValueError, match='--max-views goes with --method tta'):
        search_tta.refuse_own(command_line(saved[0], '--max-views', '2'))
    search_tta.refuse_own(command_line(saved[0]))
    args = command_line(saved[0], '--checkpoint', saved[1])
    args.amp = True
    with pytest.raises(CommandError, match='--amp is for a training'):
        search_tta.run(args)


def parsed(module, *arguments: str) -> Namespace:
    parser = Parser(prog='mmdas')
    module.add_arguments(parser)
    return parser.parse_args(arguments)


def test_test_takes_a_policy_by_its_kind(saved, tmp_path: Path):
    config, checkpoint = saved
    FLIPS.save(tmp_path / 'views.json')
    policy = ('--policy', str(tmp_path / 'views.json'))
    cfg = test_command.read(parsed(test_command, config, checkpoint, *policy))
    assert (cfg.model.type, cfg.model.policy) == ('mmdas.ClsViewModel', policy[1])
    with pytest.raises(ValueError, match='leave out --tta'):
        test_command.read(parsed(test_command, config, checkpoint, *policy, '--tta'))
    with pytest.raises(ValueError, match='mmdas test and mmdas predict take it'):
        train_command.read(parsed(train_command, config, *policy))


def test_test_of_a_model_with_clips_takes_its_policy_and_views(saved, tmp_path: Path):
    config, checkpoint = saved
    FLIPS.save(tmp_path / 'views.json')
    Policy.random(2).save(tmp_path / 'clip.json')
    arguments = ('--policy', str(tmp_path / 'views.json'), '--das', str(tmp_path / 'clip.json'), '--fusion', 'none')
    cfg = test_command.read(parsed(test_command, config, checkpoint, *arguments))
    assert cfg.model.type == 'mmdas.ClsViewModel'
    assert cfg.data_preprocessor.policy == str(tmp_path / 'clip.json')
    with pytest.raises(ValueError, match='give the file of the policy to --das'):
        other = ('--policy', str(tmp_path / 'clip.json'), *arguments[2:])
        test_command.read(parsed(test_command, config, checkpoint, *other))


def test_views_of_a_model_with_clips_are_searched(tmp_path: Path):
    plain, policy = model_config('mmseg'), Policy.random(2, space=['translate_x'], reference_size=(SIZE, SIZE))
    clips = dict(type='mmdas.DASSegDataPreProcessor', num_frames=2, policy=policy.to_dict())
    model = dict(
        plain,
        type='mmdas.DASEncoderDecoder',
        data_preprocessor={**plain['data_preprocessor'], **clips},
        backbone=dict(type='mmdas.FrameFusionBackbone', backbone=plain['backbone'], fusion=None),
        decode_head=dict(type='mmdas.TemporalPoolingHead', head=plain['decode_head'], pooling='reference'),
    )
    cfg = make_config('mmseg', tmp_path, model=model)
    found = search_views(cfg, save_weights('mmseg', tmp_path), ViewSearchOptions(**GROUPS)).policy
    assert any(view.flip for view in found.views)
    assert found.origin['scores']['views'] > found.origin['scores']['image'] + 10
