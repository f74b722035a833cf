"""Held-out images for a search with a trained model: those of the validation, or a part of the training set."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mmengine.config import Config, ConfigDict

from mmdas.registry import type_name

from .clip_config import pipeline_of

# Wrappers that show images of a training more often, or mix them.
OF_TRAINING = ('RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset')
HOLDOUT = 'HoldoutDataset'


def held_out_loader(cfg: Config, ratio: float | None = None, seed: int = 0) -> tuple[ConfigDict, dict[str, Any]]:
    """Data loader of the held-out images in the form of a test, and what is to be said of them.

    Args:
        cfg: of a training with its validation.
        ratio: part of the training set that is taken; None: the validation's data.
        seed: of the part.

    Returns:
        The config of the loader, and the facts for the policy's origin: ``part``, and ``'warning'`` where a score on
        these images is too good.

    Raises:
        ValueError: if the config has no such data.
    """
    if ratio is not None:
        return from_training(cfg, ratio, seed)
    loader = cfg.get('val_dataloader')
    if loader is None or cfg.get('val_evaluator') is None:
        raise ValueError(
            'the config has no val_dataloader and val_evaluator, whose images the views are searched on; '
            '--holdout RATIO takes a part of the training set'
        )
    facts = {'part': 'val_dataloader'}
    if without_pipelines(loader.get('dataset')) == without_pipelines((cfg.get('test_dataloader') or {}).get('dataset')):
        facts['warning'] = (
            'the data of the test are those of the validation: a score on them after this search is optimistic, since '
            'the views were chosen there; --holdout RATIO takes a part of the training set'
        )
    return deepcopy(loader), facts


def from_training(cfg: Config, ratio: float, seed: int) -> tuple[ConfigDict, dict[str, Any]]:
    """As :func:`held_out_loader`, of the training set.

    Raises:
        ValueError: if the config does not say how to prepare an image for a test, or has no training set.
    """
    if not 0 < ratio < 1:
        raise ValueError(f'--holdout is {ratio}, expected a part of the training set, in (0, 1)')
    source = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    pipeline, dataset = pipeline_of(source), (cfg.get('train_dataloader') or {}).get('dataset')
    if not pipeline or dataset is None:
        raise ValueError(
            '--holdout needs train_dataloader, and val_dataloader or test_dataloader with a pipeline that prepares an '
            'image for a test'
        )
    dataset = deepcopy(dataset)
    facts: dict[str, Any] = {'part': 'train_dataloader', 'ratio': ratio, 'seed': seed}
    if type_name(dataset) == HOLDOUT and dataset.get('part') == 'weights':  # the training has left them out
        facts.update(ratio=dataset.get('ratio', 0.5), seed=dataset.get('seed', 0))
        if facts['ratio'] != ratio:
            raise ValueError(
                f'--holdout is {ratio}, but the training has left out {facts["ratio"]} of its images; give --holdout '
                f'{facts["ratio"]}'
            )
        dataset = dataset['dataset']
    else:
        facts['warning'] = (
            'the checkpoint may have learned these images, on which its predictions are better than on new ones; train '
            "on train_dataloader.dataset=dict(type='mmdas.HoldoutDataset', part='weights', ratio=..., dataset=...) to "
            'leave them out'
        )
    part = dict(type='mmdas.HoldoutDataset', part='policy', ratio=facts['ratio'], seed=facts['seed'])
    loader = deepcopy(source)
    loader['dataset'] = ConfigDict({**part, 'dataset': in_test_form(dataset, pipeline)})
    loader.pop('batch_sampler', None)
    loader['sampler'] = ConfigDict(type='DefaultSampler', shuffle=False)
    return loader, facts


def in_test_form(dataset: Any, pipeline: Any) -> dict:
    """A data set of a training with the pipeline of a test, and without wrappers that are for trainings alone."""
    if type_name(dataset) in OF_TRAINING:
        return in_test_form(dataset['dataset'], pipeline)
    result = dict(dataset)
    if 'dataset' in result:
        result['dataset'] = in_test_form(result['dataset'], pipeline)
    if 'datasets' in result:
        result['datasets'] = [in_test_form(one, pipeline) for one in result['datasets']]
    if 'pipeline' in result:
        result['pipeline'] = deepcopy(pipeline)
    return result


def without_pipelines(node: Any) -> Any:
    """A piece of a config as plain data, without how images are prepared."""
    if isinstance(node, Mapping):
        left = {key: value for key, value in node.items() if key not in ('pipeline', 'test_mode')}
        return {key: without_pipelines(value) for key, value in left.items()}
    return [without_pipelines(one) for one in node] if isinstance(node, (list, tuple)) else node
