"""One search or one training of a row, in this process."""

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from mmdas.apis import (
    DASOptions,
    build_runner,
    convert,
    load_config,
    preprocessor_of,
    set_augment,
    set_fast,
    set_regularizers,
)
from mmdas.apis.distill_config import LOSSES, set_self_distillation, whole_model
from mmdas.apis.fast_search import take_any_frames
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.das import Policy, PolicyEdge
from mmdas.search.das.search_space import OPERATIONS
from mmdas.visualization import operation_shares

from . import augmentations
from .probes import VIEWS, Timed, by_windows, mean_gate, poolings, predict, reference_alone, score, with_views
from .recorder import CurveRecorder, averaged_model
from .rows import ROWS, Row
from .tasks import ROOT, Task
from .unused_images import add_unused

# A curve has a point at each of these fractions and multiples of the task's iterations.
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
MULTIPLES = (1.5, 2, 3, 4)
# Frames of a clip of four that are used.
FEWER = (1, 2, 4)
# Rows that are measured at their end alone, and with two views.
SINGLE = ('aligned', 'augment', 'method', 'distil', 'part')
# The seed of a teacher is this and the student's.
TEACHER_SEED = 100
# The ranges of all cells and random policies are those of the search configs.
CELL = dict(
    space='paper',
    share_strength=True,
    ranges=load_config(ROOT / 'configs' / '_base_' / 'search.py').half_ranges.to_dict(),
)

# Random warps of the ranges that two steps of those operations span, uniformly, one an image.
WARPS = dict(
    type='RandAugment',
    policies=[
        dict(type='Rotate', magnitude_range=(0, 20)),
        dict(type='Translate', magnitude_range=(0, 0.12), direction='horizontal'),
        dict(type='Translate', magnitude_range=(0, 0.12), direction='vertical'),
    ],
    num_policies=1,
    magnitude_level=10,
    magnitude_std='inf',
)


def train(task: Task, row: Row, seed: int, out: Path, limit: float = math.inf) -> dict[str, Any]:
    """Train a row with one seed; its record.

    The training ends with the first iteration after ``limit`` seconds, counted from the beginning of its search.
    """
    deadline = time.monotonic() + limit
    policy, search_cost = find_policy(task, row, seed, out)
    cfg = run_config(task, row, 'repeat', policy)
    iterations = round(task.iterations * row.budget)
    points = [iterations] if row.name.startswith(SINGLE) else curve_points(task, iterations)
    set_training(cfg, task, iterations, seed)
    before = {}
    if row.plain_before:
        cfg.load_from = str(plain_weights(task, seed, round(row.plain_before * task.iterations), out))
        before = torch.load(cfg.load_from, weights_only=True)['cost']
    if row.warped:
        cfg.train_dataloader.dataset.pipeline.insert(-1, WARPS)
    augment = None
    if row.augment:
        augment, more = find_augment(task, row, seed, out)
        search_cost = search_cost if more is None else (search_cost or 0.0) + more
        set_augment(cfg, json.loads(augment.read_text()))
    if row.words:
        set_augment(cfg, row.words)
    labelled = None
    if row.labelled_by:
        labelled = find_labels(cfg, task, row, seed, iterations, out)
    if row.self_distil:
        set_self_distillation(cfg)
    if row.regularize:
        set_regularizers(cfg, row.regularize)
    teacher = None
    if row.online:
        hook = {'type': 'mmdas.MeanTeacherHook', 'losses': losses_of(row)}
        cfg.custom_hooks = [*cfg.custom_hooks, hook]
    if row.teacher:
        hook, teacher = find_teacher(task, row, seed, round(iterations * row.teacher_budget), out)
        cfg.custom_hooks = [*cfg.custom_hooks, hook]
    recorder = CurveRecorder(
        points, task.metric, cfg.train_dataloader.batch_size, row.frames, partial(probe, row=row), deadline
    )
    run(cfg, recorder)
    curve = [{key: round(value + before.get(key, 0), 3) for key, value in point.items()} for point in recorder.points]
    last = curve[-1]
    return {
        'task': task.host,
        'row': row.name,
        'seed': seed,
        **({} if limit == math.inf else {'limit': limit}),
        'frames': row.frames,
        'fusion': row.fusion if row.frames > 1 else None,
        'score': last['score'],
        'train_seconds': last['train_seconds'],
        'train_frames': last['frames'],
        'test_milliseconds': round(1e3 * recorder.test_seconds / recorder.tested_images, 3),
        'search_seconds': search_cost,
        'curve': curve,
        **recorder.extra,
        'policy': None if policy is None else policy_content(policy),
        **({} if augment is None else {'augment': summary(augment)}),
        **({} if teacher is None else {'teacher': teacher}),
        **({} if labelled is None else {'teacher': labelled}),
    }


def plain_weights(task: Task, seed: int, iterations: int, out: Path) -> Path:
    """Checkpoint of the plain model, trained now if it was not before."""
    path = out / 'plain' / f'{iterations}-{seed}.pth'
    if not path.is_file():
        train_plain(load_config(task.path), task, seed, iterations, path)
    return path


def train_plain(cfg: Config, task: Task, seed: int, iterations: int, path: Path) -> dict[str, float]:
    """Train a plain model and write its averaged weights with what they cost; the point of its curve."""
    set_training(cfg, task, iterations, seed)
    return train_and_save(cfg, task, iterations, path)


def train_and_save(cfg: Config, task: Task, iterations: int, path: Path, frames: int = 1) -> dict[str, float]:
    """Run a config and write its averaged weights with what they cost; the point of its curve."""
    recorder = CurveRecorder([iterations], task.metric, cfg.train_dataloader.batch_size, frames)
    runner = run(cfg, recorder)
    path.parent.mkdir(parents=True, exist_ok=True)
    (point,) = recorder.points
    cost = {key: value for key, value in point.items() if key != 'score'}
    torch.save({'state_dict': averaged_model(runner).state_dict(), 'cost': cost, 'score': point['score']}, path)
    return point


def find_teacher(task: Task, row: Row, seed: int, iterations: int, out: Path) -> tuple[dict, dict]:
    """The hook by which a row learns from its teachers, which are trained now if they were not before; and its record.

    A teacher is a run of its own, with other first weights and another order of the data than its student's.
    """
    numbers = [TEACHER_SEED * (place + 1) + seed for place in range(row.teachers)]
    folders = [trained_teacher(task, row.teacher, seed, number, iterations, out) for number in numbers]
    contents = [torch.load(folder / 'teacher.pth', weights_only=True) for folder in folders]
    hook = {
        'type': 'mmdas.DistillHook',
        'teacher': [{'config': str(path / 'teacher.py'), 'checkpoint': str(path / 'teacher.pth')} for path in folders],
        'losses': losses_of(row),
        'views': row.views,
        'cache': row.cached,
        'score': False,  # it stands in the record
        'swap_colours': False,  # all networks of a task take the same order, whatever it is read in
    }
    scores = [content['score'] for content in contents]
    cost = {key: sum(content['cost'][key] for content in contents) for key in contents[0]['cost']}
    record = {'row': row.teacher, 'views': row.views, 'score': sum(scores) / len(scores), **cost}
    more = {**({'teachers': row.teachers} if row.teachers > 1 else {}), **({'cached': True} if row.cached else {})}
    return hook, {**record, **more}


def find_labels(cfg: Config, task: Task, row: Row, seed: int, iterations: int, out: Path) -> dict:
    """Put the unused training images into a config, labelled by a teacher that is trained now if it was not; record."""
    weights = trained_teacher(task, row.labelled_by, seed, TEACHER_SEED + seed, iterations, out) / 'teacher.pth'
    images, kept, seconds = add_unused(cfg, task, row, weights, out / 'unused' / f'{row.name}-{seed}')
    content = torch.load(weights, weights_only=True)
    cost = {**content['cost'], 'train_seconds': content['cost']['train_seconds'] + seconds}
    found = {'row': row.labelled_by, 'score': content['score'], 'unused': images, 'labelled': kept}
    return {**found, 'label_seconds': round(seconds, 1), **cost}


def losses_of(row: Row) -> list[dict]:
    """Configs of the distances from a row's teacher."""
    options = {} if row.temperature is None else {'temperature': row.temperature}
    return [{'type': LOSSES[word], **options} for word in row.losses.split()]


def trained_teacher(task: Task, name: str, seed: int, number: int, iterations: int, out: Path) -> Path:
    """Folder of a teacher: config and weights.

    Args:
        name: of its row.
        seed: of the student, and of the search that both share.
        number: seed of its training.
    """
    taught_by = next(other for other in ROWS[task.host] if other.name == name)
    place = number // TEACHER_SEED
    folder = out / 'teachers' / f'{name}-{iterations}-{seed}{"" if place == 1 else f"-{place}"}'
    if not (folder / 'teacher.py').is_file():
        policy, _ = find_policy(task, taught_by, seed, out)
        cfg = run_config(task, taught_by, 'repeat', policy)
        if taught_by.augment:
            set_augment(cfg, json.loads(find_augment(task, taught_by, seed, out)[0].read_text()))
        if taught_by.words:
            set_augment(cfg, taught_by.words)
        set_training(cfg, task, iterations, number)
        folder.mkdir(parents=True, exist_ok=True)
        train_and_save(cfg, task, iterations, folder / 'teacher.pth', taught_by.frames)
        whole_model(cfg).dump(folder / 'teacher.py')  # which the run has completed
    return folder


def curve_points(task: Task, iterations: int) -> list[int]:
    """Iterations at which a curve has a point: fractions of the task's budget, and multiples of it."""
    points = {round(task.iterations * factor) for factor in (*FRACTIONS[-task.points :], *MULTIPLES)}
    return sorted({point for point in points if point <= iterations} | {iterations})


def run_config(task: Task, row: Row, method: str, policy: Path | None = None) -> Config:
    """The host's config, or what the conversion makes of it, with a policy file if there is one."""
    plain = load_config(task.path, cfg_options=dict(row.options))
    if row.frames == 1:
        return plain
    options = {'pooling': row.pooling, 'any_frames': row.any_frames, 'part_after': row.part_after}
    cfg = convert(plain, method, DASOptions(row.frames, row.fusion, **options))
    if policy is not None:
        preprocessor_of(cfg).policy = str(policy)
        if row.any_frames:
            preprocessor_of(cfg).frame_dropout = FEWER
    return cfg


def set_training(cfg: Config, task: Task, iterations: int, seed: int) -> None:
    """A constant rate, an average of the weights whose window grows with the training, and nothing written."""
    cfg.randomness = dict(seed=seed)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=10**9)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler = None
    average = dict(
        type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=8, momentum=task.momentum, update_buffers=True
    )
    cfg.custom_hooks = [average]
    cfg.default_hooks.update(checkpoint=None)


def run(cfg: Config, *hooks: object) -> Runner:
    """Run a config in a scope of its own."""
    with DefaultScope.overwrite_default_scope('mmengine'):
        runner = make_runner(cfg)
        for hook in hooks:
            runner.register_hook(hook)
        runner.train()
    return runner


def make_runner(cfg: Config) -> Runner:
    """A runner that says little and keeps to one CPU thread."""
    cfg.experiment_name = f'accuracy-{time.time_ns()}'
    cfg.log_level = 'WARNING'
    torch.set_num_threads(1)
    runner = build_runner(cfg)
    if torch.cuda.is_available():  # the format in which it convolves in half precision without a copy
        for module in runner.model.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)
    return runner


def find_policy(task: Task, row: Row, seed: int, out: Path) -> tuple[Path | None, float | None]:
    """Policy file of a row and the seconds of its search, which runs now if it did not before."""
    if row.clip == 'repeat':
        return None, None
    if row.clip == 'random':
        path = out / 'random' / f'{row.search_key}-{seed}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        Policy.random(row.frames, seed=seed, **{**CELL, **row.cell}).save(path)
        return path, None
    if row.clip in OPERATIONS:  # one operation by hand, without a graph
        path = out / 'ramps' / f'{row.name}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        edge = PolicyEdge(0, 2, row.clip, row.cell['strength'])
        Policy(row.frames, 1, (edge,), origin={'method': 'by hand'}).save(path)
        return path, None
    path = out / 'searches' / f'{row.search_key}-{seed}' / 'policy.json'
    if not path.is_file():
        search(task, row, seed, path.parent)
    return path, policy_content(path)['origin']['search_cost'].get(f'{task.device.lower()}_seconds')


def find_augment(task: Task, row: Row, seed: int, out: Path) -> tuple[Path, float | None]:
    """File of a row's augmentation policy and the seconds of its search, which runs now if it did not before."""
    path = out / 'augment' / f'{row.augment}-{seed}' / 'policy.json'
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        fixed = augmentations.fixed_policy(task, row.augment)
        if fixed is not None:
            fixed.save(path)
        else:
            cfg = augmentations.search_config(task, row.augment, seed)
            cfg.work_dir = str(path.parent)
            run(cfg)
    return path, augmentations.seconds_of(path, task.device)


def summary(path: Path) -> dict:
    """What a record says of an augmentation policy: its last distribution over operations, and how often."""
    policy = AugmentPolicy.load(path).at(1.0)
    shares = {name: round(share, 4) for name, share in sorted(operation_shares(policy).items())}
    return {'probability': round(policy.probability, 4), 'shares': shares}


def search(task: Task, row: Row, seed: int, folder: Path) -> None:
    """Search a policy with GSF on clips of images, whatever fusion and parting the row trains with."""
    cfg = search_config(task, row, seed)
    cfg.work_dir = str(folder)
    run(cfg)


def search_config(task: Task, row: Row, seed: int) -> Config:
    """The search of a row's policy."""
    cfg = run_config(task, replace(row, fusion='gsf', part_after=None), 'search')
    cfg.randomness = dict(seed=seed)
    preprocessor_of(cfg).cell.update({**CELL, 'seed': seed, **row.cell})
    warmup = round(row.warmups * task.search_warmup)
    iterations = task.search_iterations - task.search_warmup + warmup
    cfg.train_cfg.update(max_iters=iterations, warmup_iters=warmup)
    by_trials = {'num_batches': 4, 'tune': 10, 'renormalize': False}
    options = by_trials if row.selection == 'PerturbationSelection' else {}
    cfg.train_cfg.selection = {'type': f'mmdas.{row.selection}', **options, **row.selection_options}
    cfg.param_scheduler.weights[0].update(end=iterations, T_max=iterations)
    # A short search needs larger steps than the paper's.
    cfg.optim_wrapper.policy.optimizer.update({'lr': 5e-3, 'weight_decay': 1e-3, **row.logits})
    if row.step:
        cfg.train_cfg.step = {'type': f'mmdas.{row.step}'}
    if row.fast:
        set_fast(cfg)
    if row.steps:
        set_steps(cfg, row.steps)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.update(checkpoint=None)
    return cfg


def set_steps(cfg: Config, steps: Mapping[str, float]) -> None:
    """Put other lengths, interval and rate into a search."""
    take_any_frames(cfg)
    cfg.train_cfg.update({key: value for key, value in steps.items() if key != 'lr'})
    cfg.optim_wrapper.policy.optimizer.lr = steps['lr']
    cfg.param_scheduler.weights[0].update(end=steps['max_iters'], T_max=steps['max_iters'])


def policy_content(path: Path) -> dict:
    """The file, as data, without the folders of this machine."""
    content = json.loads(path.read_text())
    if 'config' in content['origin']:
        content['origin']['config'] = Path(content['origin']['config']).name
    return content


def probe(model: nn.Module, loader: Iterable[dict], row: Row) -> dict[str, float | None]:
    """What is measured of a trained model beside its score."""
    if row.any_frames:
        return with_fewer_frames(model, loader)
    if row.geometry:
        return geometries(model, loader)
    result: dict[str, float | None] = {}
    for count in VIEWS[:1] if row.name.startswith(SINGLE) else VIEWS:
        predictor = Timed(with_views(count))
        result[f'tta{count}'] = round(score(model, loader, predictor), 3)
        result[f'tta{count}_milliseconds'] = predictor.milliseconds
    if row.frames > 1:
        result['reference'] = round(score(model, loader, reference_alone), 3)
        result['mean_gate'] = mean_gate(model, loader)
    return result


def with_fewer_frames(model: nn.Module, loader: Iterable[dict]) -> dict[str, float]:
    """Scores and costs of a test with so many frames around the image."""
    result: dict[str, float] = {}
    for frames in FEWER:
        predictor = Timed(predict)
        model.data_preprocessor.used_frames = frames
        for pooling in poolings(model):
            pooling.used_frames = frames
        result[f'frames{frames}'] = round(score(model, loader, predictor), 3)
        result[f'frames{frames}_milliseconds'] = predictor.milliseconds
    return result


def geometries(model: nn.Module, loader: Iterable[dict]) -> dict[str, float]:
    """Scores of a test by windows, and of one whose shifts are shares of each image, as they were before."""
    windows = Timed(by_windows)
    result = {'windows': round(score(model, loader, windows), 3), 'windows_milliseconds': windows.milliseconds}
    clip = getattr(model.data_preprocessor, 'image_to_clip', None)
    if clip is not None:
        reference, clip.reference_size = clip.reference_size, None
        result['shares'] = round(score(model, loader), 3)
        clip.reference_size = reference
    return result
