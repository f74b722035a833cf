"""Every config of the repository: its name, its page, and one training step on made-up data in its own format."""

import copy
import functools
import hashlib
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.hooks import Hook
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from PIL import Image
from tool_scripts import load_script

from benchmarks.coverage import RECORD, random_batch, read_record, run_search_step, without_pretrained_weights
from mmdas.apis import (
    METHODS,
    REGULARIZERS,
    WORDS,
    adapt_to_device,
    build_runner,
    convert,
    das_configs,
    find_config,
    iterate_dicts,
    load_config,
    preprocessor_of,
    read_config,
    set_augment,
    set_regularizers,
)
from mmdas.augment.policy_augment import read_policy
from mmdas.datasets import ReducedCIFAR10
from mmdas.engine import EpochBasedSearchLoop, IterBasedSearchLoop
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if not path.parent.name.startswith('_'))
FOLDERS = sorted({path.parent for path in CONFIGS})
NAME = re.compile(
    r'(?:(?P<method>repeat|search|das)-(?P<frames>\d+)f-(?P<fusion>tsm|gsm|gsf)_)?(?P<host>\w[\w-]*_[\w-]+)'
)
FUSIONS = {'tsm': 'mmdas.TemporalShift', 'gsm': 'mmdas.GateShift', 'gsf': 'mmdas.GateShiftFuse'}
EXAMPLES = {  # folders with a worked example, and its host
    'voc2012': 'mmseg::pspnet/pspnet_r50-d8_4xb4-40k_voc12aug-512x512.py',
    'cityscapes': 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    'imagenet': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
}
METHOD_CONFIGS = [path for path in CONFIGS if path.parent.name == 'methods']
PLAIN_FOLDERS = ('cifar10', 'cifar100', 'one_digit', 'tiny_imagenet')
SMALL_FOLDERS = ('camvid', 'cifar10_reduced', 'digit_scenes', 'shape_texture', 'voc2012_subset')
SMALL = [path for path in CONFIGS if path.parent.name in SMALL_FOLDERS]
LARGE_SIZE = 32  # pixels, of a step of a large network
each_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
each_folder = pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)


@functools.cache  # a config that inherits from an installed one takes a second to read
def read(path: Path) -> Config:
    return load_config(path)


# names and pages


def test_there_are_configs_of_all_data_sets():
    assert {folder.name for folder in FOLDERS} == {*SMALL_FOLDERS, *EXAMPLES, *PLAIN_FOLDERS, 'methods'}


@each_config
@pytest.mark.slow
def test_name_of_a_config_says_what_it_holds(path: Path):
    cfg, name = read(path), NAME.fullmatch(path.stem)
    assert name, f'{path.name} is not {{method}}-{{T}}f-{{fusion}}_{{host}}.py, nor {{host}}.py'
    preprocessor, fusion = preprocessor_of(cfg), cfg.model.backbone.get('fusion', {}).get('type')
    assert cfg.get('num_frames') == (name['frames'] and int(name['frames']))
    assert fusion == FUSIONS.get(name['fusion'])
    assert ('cell' in preprocessor, 'policy' in preprocessor) == (name['method'] == 'search', name['method'] == 'das')
    assert (path.parent / f'{name["host"]}.py').is_file() or find_config(name['host'])


@each_config
@pytest.mark.slow
def test_policy_of_a_config_is_what_its_search_config_leaves(path: Path):
    policy = preprocessor_of(read(path)).get('policy')
    if not path.stem.startswith('das-'):
        assert policy is None
        return
    search = f'search-{path.stem.removeprefix("das-")}'
    assert policy == f'work_dirs/{search}/policy.json'
    assert (path.parent / f'{search}.py').is_file()


@each_folder
def test_folder_has_a_page_that_names_its_configs(folder: Path):
    page = (folder / 'README.md').read_text(encoding='utf-8')
    assert [path.name for path in CONFIGS if path.parent == folder and path.name not in page] == []


@each_folder
def test_metafile_lists_exactly_the_configs_of_its_folder(folder: Path):
    metafile = load(str(folder / 'metafile.yml'))
    collections = {collection['Name'] for collection in metafile['Collections']}
    listed = {model['Config']: model for model in metafile['Models']}
    assert sorted(listed) == [path.relative_to(ROOT).as_posix() for path in CONFIGS if path.parent == folder]
    for config, model in listed.items():
        assert model['Name'] == Path(config).stem
        assert model['In Collection'] in collections


# hosts of other places


@pytest.mark.parametrize(('folder', 'host'), EXAMPLES.items())
def test_worked_example_is_what_add_das_makes_of_its_host(folder: str, host: str):
    path, reference = find_config(host)
    for name, text in das_configs(read_config(path), path.stem, reference).items():
        assert (ROOT / 'configs' / folder / name).read_text(encoding='utf-8') == text


def installed_sample() -> list[str]:
    """The first config of each folder of the toolboxes that the record of coverage calls convertible."""
    folders = {}
    for name, outcome in read_record(RECORD).items():
        if outcome['stage'] == 'ok':
            folders.setdefault(name.rpartition('/')[0], name)
    return list(folders.values())


@pytest.mark.parametrize('name', installed_sample())
def test_installed_config_converts_in_memory(name: str):
    cfg = read_config(find_config(name)[0])
    repeat, search, das = (convert(cfg, method) for method in METHODS)
    preprocessors = [preprocessor_of(made) for made in (repeat, search, das)]
    assert [preprocessor['num_frames'] for preprocessor in preprocessors] == [4, 4, 4]
    assert preprocessors[2]['policy'] == f'work_dirs/{Path(search.filename).stem}/policy.json'
    assert search.train_dataloader.dataset.dataset == cfg.train_dataloader.dataset
    assert all(made.model.backbone.backbone == cfg.model.backbone for made in (repeat, search, das))


# methods


def with_policies(value: Any) -> Any:
    """A config with contents for names of policies, and without defaults and the scope's name."""
    if isinstance(value, dict):
        default = {'num_frames': 1, 'ignore_index': 255, 'label_smooth_val': 0.1, 'use_sigmoid': False}
        return {
            key: read_policy(inner).to_dict() if key == 'policy' else with_policies(inner)
            for key, inner in value.items()
            if default.get(key) != inner
        }
    if isinstance(value, (list, tuple)):
        return [with_policies(inner) for inner in value]
    return value.removeprefix('mmpretrain.') if isinstance(value, str) else value


@pytest.mark.parametrize('path', METHOD_CONFIGS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_config_of_a_method_is_what_its_words_make_of_the_plain_one(path: Path):
    written = read(path)
    words, host = path.stem.split('_', 1)
    (plain,) = (other for other in CONFIGS if other.stem == host)
    made = copy.deepcopy(read(plain))
    names = re.findall('|'.join(sorted((*WORDS, *REGULARIZERS), key=len, reverse=True)), words)
    assert '-'.join(names) == words
    for change, known in ((set_augment, WORDS), (set_regularizers, REGULARIZERS)):
        given = [name for name in names if name in known]
        if given:
            change(made, given)
    for part in ('model', 'data_preprocessor', 'custom_hooks'):
        assert with_policies(made.get(part)) == with_policies(written.get(part))


@pytest.mark.parametrize(
    'path', [path for path in CONFIGS if path not in [*SMALL, *METHOD_CONFIGS]], ids=lambda path: path.stem
)
@pytest.mark.slow
def test_model_of_a_large_config_runs_forward_and_backward(path: Path):
    cfg = copy.deepcopy(read(path))
    if path.stem.startswith('search-'):
        assert run_search_step(cfg, [LARGE_SIZE])['stage'] == 'ok'
        return
    if path.stem.startswith('das-'):
        preprocessor_of(cfg).policy = Policy.random(cfg.num_frames).to_dict()
    adapt_to_device(cfg)
    without_pretrained_weights(cfg.model)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
        model.train()
        data = model.data_preprocessor(random_batch(cfg, model, LARGE_SIZE), True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
    assert torch.isfinite(loss)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, gradient in gradients.items() if gradient is None] == []


# made-up data, in the folders and formats of the real sets


def make_pairs(images: Path, labels: Path, names: list[str], size: tuple[int, int], num_classes: int) -> None:
    rng = np.random.default_rng(0)
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(images / f'{name}.jpg')
        # Blocks of labels: a crop of noise would be cut out again and again for having too much of one class.
        blocks = rng.integers(0, num_classes, (size[0] // 8, size[1] // 8), np.uint8)
        Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).save(labels / f'{name}.png')


def make_camvid(root: Path) -> None:
    for split in ('train', 'val', 'test'):
        make_pairs(root / split, root / f'{split}annot', ['a', 'b', 'c', 'd'], (72, 96), num_classes=12)


def make_voc(root: Path) -> None:
    names = ['2007_000001', '2007_000002', '2007_000003', '2007_000004']
    make_pairs(root / 'JPEGImages', root / 'SegmentationClass', names, (80, 104), num_classes=21)
    lists = root / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    for split in ('train', 'val'):
        (lists / f'{split}.txt').write_text('\n'.join(names) + '\n')


def make_digit_scenes(root: Path) -> None:
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(root, num_train=4, num_val=1)


def make_cifar(root: Path, images_per_batch: int = 4) -> dict[str, str]:
    """Write the pickles of CIFAR-10; their checksums by name."""
    rng = np.random.default_rng(0)
    folder = root / ReducedCIFAR10.base_folder
    folder.mkdir(parents=True)
    for name in [*(f'data_batch_{number}' for number in range(1, 6)), 'test_batch']:
        data = rng.integers(0, 256, (images_per_batch, 3 * 32 * 32), np.uint8)
        labels = rng.integers(0, 10, images_per_batch).tolist()
        (folder / name).write_bytes(pickle.dumps({'data': data, 'labels': labels}))
    (folder / 'batches.meta').write_bytes(pickle.dumps({'label_names': list(ReducedCIFAR10.METAINFO['classes'])}))
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory):
    """A folder with made-up data and random policies at the relative paths that the configs name."""
    place = tmp_path_factory.mktemp('workplace')
    make_camvid(place / 'data/CamVid')
    make_voc(place / 'data/voc2012-subset/VOCdevkit/VOC2012')
    make_digit_scenes(place / 'data/digit_scenes')
    checksums = make_cifar(place / 'data/cifar10-reduced')
    with pytest.MonkeyPatch.context() as patch:
        for attribute in ('train_list', 'test_list'):
            listed = [[name, checksums[name]] for name, _ in getattr(ReducedCIFAR10, attribute)]
            patch.setattr(ReducedCIFAR10, attribute, listed)
        patch.setattr(ReducedCIFAR10, 'meta', {**ReducedCIFAR10.meta, 'md5': checksums['batches.meta']})
        yield place


# one step


class StopAfterOneStep(Hook):
    """Remembers the parameters before the training, ends it after its first iteration and tells what changed."""

    def before_train(self, runner: Runner) -> None:
        self.before = {name: value.detach().clone() for name, value in runner.model.named_parameters()}

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.losses = {name: value for name, value in outputs.items() if name.endswith('loss')}
        runner.train_loop.stop_training = True

    def changed(self, model: torch.nn.Module) -> set[str]:
        return {name for name, value in model.named_parameters() if not torch.equal(value, self.before[name])}


def make_small(cfg: Config) -> None:
    """Batches of two images, no workers, few images that are drawn; a search starts with its policy phase."""
    for path, node in iterate_dicts(dict(cfg.items())):
        if node.get('type') == 'mmdas.ShapeTextureDigits':
            node.per_class = 1
        if path.endswith('dataloader'):
            node.update(batch_size=2, num_workers=0, persistent_workers=False)
        for warmup in {'warmup_iters', 'warmup_epochs'} & node.keys():
            node[warmup] = 0


@pytest.fixture
def small_run(workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Build the runner of a config in the workplace."""
    monkeypatch.chdir(workplace)

    def build(path: Path) -> Runner:
        cfg = copy.deepcopy(read(path))
        cfg.work_dir = str(tmp_path / 'run')
        policy = preprocessor_of(cfg).get('policy')
        if policy:
            os.makedirs(Path(policy).parent, exist_ok=True)
            Policy.random(cfg.num_frames).save(policy)
        make_small(cfg)
        return build_runner(cfg)

    return build


@pytest.mark.parametrize('path', [path for path in SMALL if '-8f-' in path.stem], ids=lambda path: path.stem)
def test_config_of_eight_frames_is_that_of_four_with_another_number(path: Path):
    four, eight = (read(path.with_stem(path.stem.replace('-8f-', name))).to_dict() for name in ('-4f-', '-8f-'))
    assert four != eight
    assert str(four).replace("'num_frames': 4", "'num_frames': 8").replace('-4f-', '-8f-') == str(eight)


# Those of one method train in the tests of the method; together they have to go with one another.
TOGETHER = [path for path in METHOD_CONFIGS if 'together' in path.read_text(encoding='utf-8')]


@pytest.mark.parametrize(
    'path', [*(path for path in SMALL if '-8f-' not in path.stem), *TOGETHER], ids=lambda path: path.stem
)
@pytest.mark.slow
def test_config_takes_a_training_step(path: Path, small_run):
    with DefaultScope.overwrite_default_scope('mmengine'):  # the runner sets its own, which must not outlive the test
        runner, step = small_run(path), StopAfterOneStep()
        runner.register_hook(step)
        runner.train()
    searching = path.stem.startswith('search-')
    changed = step.changed(runner.model)
    assert set(step.losses) == ({'loss', 'policy_loss'} if searching else {'loss'})
    assert all(torch.isfinite(torch.as_tensor(loss)) for loss in step.losses.values())
    assert any(name.startswith('backbone.') for name in changed)
    assert any(name.split('.')[0] in ('decode_head', 'head') for name in changed)
    assert isinstance(runner.train_loop, (IterBasedSearchLoop, EpochBasedSearchLoop)) == searching
    assert ('data_preprocessor.cell.logits' in changed) == searching
