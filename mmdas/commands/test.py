"""Test a checkpoint and print its metrics."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from numbers import Real
from typing import TYPE_CHECKING, Any

from mmengine.config import Config, ConfigDict

from .crops import CROPS, crop_pipeline
from .parser import command_without, told_in_one_line
from .run_options import add_run_arguments, load_run_config, refuse_search, refusing_code, saved_config

if TYPE_CHECKING:
    from mmdas.hosts import Host

EXAMPLE = 'mmdas test my_config.py work_dirs/my_config/iter_80000.pth --tta --show-dir drawn'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    add_model_arguments(parser)
    add_output_arguments(parser)


def add_output_arguments(parser: ArgumentParser) -> None:
    """Add the options of predictions that are kept or shown."""
    parser.add_argument('--out', help='FILE.pkl for all predictions, or (segmentation) a folder for label images')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder for drawn predictions')
    parser.add_argument('--wait-time', type=float, default=2.0, help='seconds that a window stays')


def add_model_arguments(parser: ArgumentParser) -> None:
    """Add the options that say what is tested, and how it predicts; nothing is kept of the predictions."""
    add_run_arguments(parser)
    parser.set_defaults(out=None, show=False, show_dir=None)
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('--split', choices=['test', 'val'], default='test', help='data and metrics of (%(default)s)')
    parser.add_argument('--use-frames', type=int, metavar='K', help='of a model trained with --any-frames (all)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--crops',
        type=int,
        choices=CROPS,
        help='classification: average over the corners and the centre (5), and their mirror images (10)',
    )


def use_validation(cfg: Config) -> None:
    """Let a test take the validation set and its metrics.

    Raises:
        ValueError: if the config has none.
    """
    if cfg.get('val_dataloader') is None or cfg.get('val_evaluator') is None:
        raise ValueError('--split val: the config has no val_dataloader or no val_evaluator')
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator


def enable_tta(cfg: Config, crops: int | None = None) -> None:
    """Wrap the model for test-time augmentation, by ``tta_model`` and ``tta_pipeline`` of the config.

    A classification config may lack them: then the scores of the image and its mirror image are averaged.

    Args:
        cfg: of the test; changed.
        crops: 5 or 10, of a classification, in place of ``tta_pipeline``.

    Raises:
        ValueError: If a segmentation config lacks one of them, if its views mirror left and right classes, or for crops
            of a segmentation or without a size.
    """
    from mmdas.apis import host_of, iterate_dicts

    host = host_of(cfg)
    if crops and host.label_maps:
        raise ValueError(f'--crops {crops} is for classification; a segmentation sees all of its image, take --tta')
    if host.tta_model:
        cfg.setdefault('tta_model', ConfigDict(type=host.tta_model))
    missing = [key for key in ('tta_model', 'tta_pipeline') if cfg.get(key) is None]
    if missing and not host.tta_model:
        raise ValueError(f'--tta needs {" and ".join(missing)} in the config, as in mmseg::_base_/datasets/ade20k.py')
    check_sides(cfg)
    for _, node in iterate_dicts(cfg.test_dataloader.dataset):
        if 'pipeline' in node:
            steps = node['pipeline']
            node['pipeline'] = crop_pipeline(steps, crops) if crops else cfg.get('tta_pipeline') or flip_pipeline(steps)
    # The runner hands the top-level data preprocessor, which base configs leave behind, to the wrapper, which puts it
    # in the place of the model's own. Without a wrapper the model's own is the one that counts.
    if cfg.model.get('data_preprocessor') is not None:
        cfg.data_preprocessor = cfg.model.data_preprocessor
    cfg.model = ConfigDict(**right_tta_model(cfg.tta_model, host), module=cfg.model)


def check_sides(cfg: Config) -> None:
    """Raise a ValueError if mirrored views would be averaged with left and right classes exchanged.

    MMSegmentation mirrors the scores of a view back, but not its classes (``findings/mmseg_tta_left_right.sh``).
    """
    from mmdas.apis import iterate_dicts
    from mmdas.registry import type_name

    def flips(part: str) -> list[dict]:
        return [node for _, node in iterate_dicts(cfg.get(part)) if type_name(node) == 'RandomFlip']

    pairs = [node['swap_seg_labels'] for node in flips('train_dataloader') if node.get('swap_seg_labels')]
    shares = [node.get('prob') for node in flips('tta_pipeline')]
    if pairs and any(any(share) if isinstance(share, (list, tuple)) else share for share in shares):
        raise ValueError(
            f'--tta would average mirrored views, in which the classes {pairs[0]} of swap_seg_labels are exchanged; '
            'leave it out, or RandomFlip out of tta_pipeline'
        )


def right_tta_model(tta_model: dict, host: Host) -> dict:
    """The config's TTA model, with ours for one of the toolbox that is wrong."""
    kind = tta_model['type']
    name = kind if isinstance(kind, str) else kind.__name__
    return {**tta_model, 'type': host.tta_models.get(name.removeprefix(f'{host.scope}.'), kind)}


def flip_pipeline(pipeline: list[dict]) -> list[dict]:
    """Test pipeline that gives the image and its mirror image."""
    *steps, pack = pipeline
    flips = [{'type': 'RandomFlip', 'prob': probability} for probability in (0.0, 1.0)]
    return [*steps, {'type': 'TestTimeAug', 'transforms': [flips, [pack]]}]


def draw_predictions(cfg: Config, show: bool, folder: str | None, wait_time: float) -> None:
    """Let the visualization hook of the toolbox draw every prediction.

    Raises:
        ValueError: If the config has no such hook.
    """
    from mmdas.apis import host_of

    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError('--show and --show-dir need default_hooks.visualization in the config, which has none')
    hook.update(show=show, wait_time=wait_time, interval=1)
    host_of(cfg).draw(cfg, folder)


def save_predictions(cfg: Config, out: str) -> None:
    """Let the evaluator write the predictions to ``out``.

    Raises:
        ValueError: If ``out`` is no pickle file and the config is not one of segmentation.
    """
    from mmdas.apis import host_of

    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    if out.endswith(('.pkl', '.pickle')):
        cfg.test_evaluator = [*evaluators, {'type': 'DumpResults', 'out_file_path': out}]
    elif host_of(cfg).label_maps:
        for evaluator in evaluators:
            evaluator.update(output_dir=out, keep_results=True)
    else:
        raise ValueError(f'--out is {out}; for a classification model it must be a file that ends with .pkl')


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the metrics, in the first process alone."""
    from mmengine.dist import is_main_process

    for name, value in metrics.items() if is_main_process() else ():
        print(f'{name}: {value:.2f}' if isinstance(value, Real) else f'{name}: {value}')


def run(args: Namespace) -> None:
    """Test.

    Raises:
        CommandError: if the user has to change something.
    """
    with told_in_one_line():
        cfg = read(args)
    metrics, _ = measure(cfg)
    print_metrics(metrics)
    if metrics and args.launcher == 'none':
        print(f'next: {next_command(args.command[1])}')


def next_command(arguments: list[str]) -> str:
    """The analysis of what was tested, with its options but those of the predictions that are kept."""
    return command_without(add_output_arguments, arguments, 'mmdas', 'analyze', 'confusion')


def measure(cfg: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a test; its metrics, and what its data set says of itself, such as ``classes``.

    Raises:
        CommandError: if the user has to change something.
    """
    from mmdas.apis import build_runner, end_processes
    from mmdas.augment import AugmentError
    from mmdas.engine.checkpoints import CheckpointError
    from mmdas.engine.data_error import DataError
    from mmdas.models.backbones.parting import PartingError
    from mmdas.models.data_preprocessors import PixelError
    from mmdas.models.settings import DifferenceError
    from mmdas.search import PolicyError

    kinds = DataError, DifferenceError, CheckpointError, FileNotFoundError, PixelError, PolicyError
    with told_in_one_line(*kinds, PartingError, AugmentError), refusing_code():
        put_back = saved_config(cfg)
        runner = build_runner(cfg)
        put_back()
        metrics = runner.test()
    meta = dict(getattr(runner.test_dataloader.dataset, 'metainfo', None) or {})
    del runner  # which holds the model, see end_processes
    end_processes()
    return metrics, meta


def read(args: Namespace) -> Config:
    """The config of the test, checked.

    Raises:
        ValueError, FileNotFoundError: as the message says.
    """
    from mmdas.apis import check_run, host_of, is_view_policy, require_checkpoint, set_used_frames, use_views

    refuse_search(args)
    require_checkpoint(args.checkpoint)
    views = is_view_policy(args.policy)
    if args.tta and args.crops:
        raise ValueError('--crops is a test-time augmentation of its own; leave out --tta')
    if views and (args.tta or args.crops):
        option = '--tta' if args.tta else '--crops'
        raise ValueError(f'--policy {args.policy} says which views are averaged; leave out {option}')
    cfg = load_run_config(args, takes_views=True)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.split == 'val':
        use_validation(cfg)
    reason = host_of(cfg).single_pictures
    if (args.tta or args.crops) and (args.show or args.show_dir) and reason:
        raise ValueError(f'--show and --show-dir do not go with {"--tta" if args.tta else "--crops"}: {reason}')
    set_used_frames(cfg, args.use_frames)
    check_run(cfg)
    if args.show or args.show_dir:
        draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
    if args.out:
        save_predictions(cfg, args.out)
    if args.tta or args.crops:
        enable_tta(cfg, args.crops)
    if views:
        use_views(cfg, args.policy)
    return cfg
