"""The config of a comparison: a part of the training set chooses, the test set is kept for the end."""

from copy import deepcopy

from mmengine.config import Config, ConfigDict

from mmdas.registry import type_name

from .held_out import HOLDOUT, from_training


def hold_out_validation(cfg: Config, ratio: float = 0.2, seed: int = 0) -> None:
    """Train on one part of the training set and validate on the other, in the form of a test.

    The split is that of :class:`mmdas.datasets.HoldoutDataset`: seeded, by image, copies of an image on one side. A
    config whose training holds out a part of that ratio already keeps its split.

    Args:
        cfg: of a training; its ``train_dataloader``, ``val_dataloader``, ``val_evaluator`` and ``val_cfg`` are changed.
        ratio: part of the training set that validates, in (0, 1). Default: 0.2.
        seed: of the split. Default: 0.

    Raises:
        ValueError: for a ratio out of range, or a config without what a training and a test need.
    """
    if not 0 < ratio < 1:
        raise ValueError(f'--holdout is {ratio}, expected a part of the training set, in (0, 1)')
    evaluator = cfg.get('val_evaluator') or cfg.get('test_evaluator')
    if evaluator is None:
        raise ValueError('the config has neither val_evaluator nor test_evaluator, by which methods are compared')
    loader, facts = from_training(cfg, ratio, seed)
    dataset = cfg.train_dataloader.dataset
    if type_name(dataset) != HOLDOUT:
        part = {'type': 'mmdas.HoldoutDataset', 'part': 'weights', 'ratio': facts['ratio'], 'seed': facts['seed']}
        cfg.train_dataloader.dataset = ConfigDict({**part, 'dataset': deepcopy(dataset)})
    cfg.val_dataloader, cfg.val_evaluator = loader, deepcopy(evaluator)
    if cfg.get('val_cfg') is None:
        cfg.val_cfg = {'type': 'ValLoop'}
