"""The labelled images as a data set that the toolbox reads, and the config that adds it to a training."""

import copy
import os
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmdas.apis.clip_config import innermost_data_set, reads_files
from mmdas.apis.config_files import find_config, host_of, toolbox_of
from mmdas.apis.das_text import source
from mmdas.apis.pure_python import is_pure_python, text_twin
from mmdas.engine.checkpoints.atomic_file import write_atomically
from mmdas.noise import import_toolbox

LABELS, MAPS, IMAGES = 'labels.txt', 'labels', 'images.txt'
DATA_SET, RETRAIN, TWIN = 'distilled.py', 'retrain.py', 'base.py'


def training_set(cfg: Config) -> dict[str, Any]:
    """The innermost data set of the training.

    Raises:
        ValueError: if there is none with a pipeline, or one that holds pixels in place of files.
    """
    found = innermost_data_set(cfg.get('train_dataloader'))
    if found is None:
        raise ValueError('train_dataloader.dataset of the config has no pipeline; the distilled images are read by it')
    if not reads_files(found['pipeline']):
        raise ValueError(
            f'{found.get("type")} of the training holds pixels and reads no files, as the distilled images are; take a '
            'config whose training pipeline begins with LoadImageFromFile'
        )
    return found


def metainfo_of(cfg: Config, dataset: dict[str, Any], classes: tuple[str, ...]) -> dict[str, Any]:
    """What the training's data set says of its classes, in the very types, so that both can be concatenated.

    Args:
        cfg: of the training.
        dataset: its innermost data set.
        classes: names that the checkpoint knows, for data sets that learn them from their files.
    """
    kind = kind_of(cfg, dataset)
    found = copy.deepcopy(dict(getattr(kind, 'METAINFO', None) or {}))
    found.update(copy.deepcopy(dict(dataset.get('metainfo') or {})))
    if isinstance(dataset.get('classes'), (list, tuple)):  # as MMPretrain takes them, too
        found['classes'] = tuple(dataset['classes'])
    if 'classes' not in found and classes:
        found['classes'] = classes
    names, given = found.get('classes'), found.get('palette')
    everything = (getattr(kind, 'METAINFO', None) or {}).get('classes')
    if given and everything and names is not None and list(names) != list(everything) and len(given) == len(everything):
        found['palette'] = type(given)(given[list(everything).index(name)] for name in names)
    return {key: value for key, value in found.items() if key in ('classes', 'palette')}


def write_data_set(cfg: Config, folder: Path, images: Path, rows: list[dict[str, Any]], meta: dict[str, Any]) -> dict:
    """Write the lists, and the data set as a config.

    Args:
        cfg: of the training.
        folder: of the data set.
        images: folder of the images.
        rows: of the images that are done, in their order.
        meta: of :func:`metainfo_of`.

    Returns:
        The config of the data set.
    """
    host, inner = host_of(cfg), training_set(cfg)
    kept = [row for row in rows if row['kept']]
    if host.label_maps:
        lines = [row['image'] for row in kept]
        files = {
            'type': 'BaseSegDataset',
            'data_prefix': {'img_path': str(images), 'seg_map_path': str(folder / MAPS)},
            'ann_file': str(folder / IMAGES),
            'img_suffix': '',  # the lists hold the names with their endings
            'seg_map_suffix': '.png',
            'reduce_zero_label': zero_is_reduced(cfg, inner),
        }
    else:
        lines = [f'{row["image"]} {row["label"]}' for row in kept]
        files = {'type': 'CustomDataset', 'data_prefix': str(images), 'ann_file': str(folder / LABELS)}
    write_atomically(folder / (IMAGES if host.label_maps else LABELS), ''.join(f'{line}\n' for line in lines).encode())
    dataset = {**files, 'metainfo': meta, 'pipeline': Config({'x': inner['pipeline']}).to_dict()['x']}
    text = f'# Labels that a trained model gave to the images of {images}.\ndistilled = {source(dataset)}\n'
    write_atomically(folder / DATA_SET, text.encode())
    return dataset


def kind_of(cfg: Config, dataset: dict[str, Any]) -> Any:
    """The class of a data set."""
    if not isinstance(dataset['type'], str):  # a pure-Python config
        return dataset['type']
    import_toolbox(host_of(cfg).scope)
    with DATASETS.switch_scope_and_registry(toolbox_of(cfg)) as registry:
        return registry.get(dataset['type'])


def zero_is_reduced(cfg: Config, dataset: dict[str, Any]) -> bool:
    """Whether a data set of a segmentation takes label 0 for no class, and 1 for the first one."""
    if 'reduce_zero_label' in dataset:
        return bool(dataset['reduce_zero_label'])
    argument = signature(kind_of(cfg, dataset).__init__).parameters.get('reduce_zero_label')
    return argument is not None and argument.default is True


def retrain_text(config: str, folder: Path, label_maps: bool) -> str:
    """The config of a training on both data sets, which inherits from the config of the first training.

    Args:
        config: of the first training, as the command names it.
        folder: of the data set.
        label_maps: whether it is one of segmentation.
    """
    path, reference = find_config(config)
    base = reference or os.path.abspath(path)
    if is_pure_python(path):  # which a text config cannot inherit from
        write_atomically(folder / TWIN, text_twin(os.path.abspath(path)).encode())
        base = f'./{TWIN}'
    ignored = ", ignore_keys=['label_map']" if label_maps else ''
    return '\n'.join(
        [
            f'_base_ = [{base!r}, {"./" + DATA_SET!r}]',
            'train_dataloader = dict(',
            f"    dataset=dict(_delete_=True, type='ConcatDataset'{ignored}, datasets=[",
            '        {{_base_.train_dataloader.dataset}}, {{_base_.distilled}}]))',
            '',
        ]
    )
