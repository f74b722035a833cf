"""Copies of data sets in other styles: their layout, their styles, and what an interrupted run leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from narrow_vgg import narrow  # noqa: F401
from PIL import Image

from mmdas.apis import stylize
from mmdas.apis.stylize import StylizeOptions, style_number, stylize_dataset
from mmdas.commands import main
from mmdas.style import AdaINStyle, channel_statistics, read_image


def save_image(path: Path, seed: int, size: tuple[int, int] = (24, 30)) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    noisy = rng.integers(60, 190, 3) + rng.normal(0, 20, (*size, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    for number in range(3):
        save_image(tmp_path / 'styles' / f'part{number % 2}' / f'{number}.png', 50 + number, (40, 32))
    return tmp_path / 'styles'


@pytest.fixture
def segmentation(tmp_path: Path) -> Config:
    """A data set in the folders of Pascal VOC, within a wrapper."""
    root, names = tmp_path / 'voc', [f'scene{number}' for number in range(6)]
    for number, name in enumerate(names):
        save_image(root / 'JPEGImages' / f'{name}.png', number)
        (root / 'SegmentationClass').mkdir(exist_ok=True)
        Image.fromarray(np.full((24, 30), number, np.uint8)).save(root / 'SegmentationClass' / f'{name}.png')
    (root / 'train.txt').write_text('\n'.join(names) + '\n')
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(root),
        ann_file='train.txt',
        img_suffix='.png',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        metainfo=dict(classes=[str(number) for number in range(6)], palette=[[0, 0, number] for number in range(6)]),
    )
    wrapped = dict(type='RepeatDataset', times=3, dataset=dataset)
    return Config(dict(default_scope='mmseg', model={}, train_dataloader=dict(dataset=wrapped)))


@pytest.fixture
def classification(tmp_path: Path) -> Config:
    for number in range(4):
        save_image(tmp_path / 'cls' / 'train' / ('cat', 'dog')[number % 2] / f'{number}.png', number)
    dataset = dict(type='CustomDataset', data_root=str(tmp_path / 'cls'), data_prefix='train')
    return Config(dict(default_scope='mmpretrain', model={}, train_dataloader=dict(dataset=dataset)))


def options(styles: Path, out: Path, **others) -> StylizeOptions:
    return StylizeOptions(str(styles), str(out), **{'method': 'statistics', 'device': 'cpu', **others})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_segmentation_keeps_layout_lists_and_label_maps(segmentation: Config, styles: Path, tmp_path: Path):
    done = stylize_dataset(segmentation, options(styles, tmp_path / 'new'))
    new, old = contents(tmp_path / 'new'), contents(tmp_path / 'voc')
    assert (done.made, done.kept) == (6, 0)
    assert new.keys() == old.keys() | {'stylize.json'}
    changed = {name for name, content in old.items() if new[name] != content}
    assert changed == {f'JPEGImages/scene{number}.png' for number in range(6)}


@pytest.mark.slow
def test_config_takes_the_copy_as_it_is_told(segmentation: Config, styles: Path, tmp_path: Path):
    done = stylize_dataset(segmentation, options(styles, tmp_path / 'new'))
    assert done.usage == f'--cfg-options train_dataloader.dataset.dataset.data_root={tmp_path / "new"}'
    word, value = done.usage.removeprefix('--cfg-options ').split('=')
    segmentation.merge_from_dict({word: value})
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(segmentation.train_dataloader.dataset)
    info = dataset.get_data_info(2)
    assert len(dataset) == 18 and info['img_path'].startswith(value)
    assert np.unique(np.asarray(Image.open(info['seg_map_path']))).tolist() == [2]


def test_each_image_has_the_colours_of_the_style_of_its_name(segmentation: Config, styles: Path, tmp_path: Path):
    stylize_dataset(segmentation, options(styles, tmp_path / 'new', seed=4))
    files = sorted(styles.rglob('*.png'), key=lambda path: path.relative_to(styles).as_posix())
    used = set()
    for number in range(6):
        name = f'JPEGImages/scene{number}.png'
        used.add(style_number(name, 4, 3))
        found = channel_statistics(read_image(tmp_path / 'new' / name))
        wanted = channel_statistics(read_image(files[style_number(name, 4, 3)]))
        torch.testing.assert_close(found.mean, wanted.mean, atol=0.005, rtol=0)
        torch.testing.assert_close(found.std, wanted.std, atol=0.01, rtol=0)
    assert len(used) > 1


def test_styles_are_drawn_evenly():
    counts = np.bincount([style_number(f'{number}.jpg', 0, 4) for number in range(4000)])
    assert counts.min() > 900 and counts.max() < 1100


@pytest.mark.slow
def test_classes_stay_those_of_the_folders(classification: Config, styles: Path, tmp_path: Path):
    stylize_dataset(classification, options(styles, tmp_path / 'new'))
    copy = classification.copy()
    copy.train_dataloader.dataset.data_root = str(tmp_path / 'new')
    infos = []
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for cfg in (classification, copy):
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
            infos.append([(Path(info['img_path']).name, info['gt_label']) for info in dataset])
    assert infos[0] == infos[1] and len(infos[0]) == 4


@pytest.mark.slow
def test_images_without_files_become_folders_of_classes(styles: Path, tmp_path: Path):
    dataset = dict(type='mmdas.ShapeTextureDigits', split='test', per_class=2)
    cfg = Config(
        dict(default_scope='mmpretrain', model={}, test_dataloader=dict(dataset=dataset), data_preprocessor={})
    )
    done = stylize_dataset(cfg, options(styles, tmp_path / 'new', splits=('test',)))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        original = DATASETS.build(dataset)
        copy = DATASETS.build(eval(done.usage.removeprefix('dataset=')))
    assert [info['gt_label'] for info in copy] == [info['gt_label'] for info in original]
    number = 5
    style = sorted(styles.rglob('*.png'))[style_number(f'test/{copy_name(copy, number)}', 0, 3)]
    found = channel_statistics(read_image(copy.get_data_info(number)['img_path'])).mean
    torch.testing.assert_close(found, channel_statistics(read_image(style)).mean, atol=0.02, rtol=0)


def copy_name(dataset, number: int) -> str:
    path = Path(dataset.get_data_info(number)['img_path'])
    return f'{path.parent.name}/{path.name}'


class TestInterruption:
    @pytest.mark.slow
    def test_resumed_copy_equals_an_uninterrupted_one(
        self, segmentation: Config, styles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        stylize_dataset(segmentation, options(styles, tmp_path / 'whole'))
        real, calls = stylize.write_atomically, []

        def write(path, content):
            calls.append(path)
            if len(calls) == 8:
                raise KeyboardInterrupt
            real(path, content)

        monkeypatch.setattr(stylize, 'write_atomically', write)
        with pytest.raises(KeyboardInterrupt):
            stylize_dataset(segmentation, options(styles, tmp_path / 'parts'))
        monkeypatch.setattr(stylize, 'write_atomically', real)
        there = {path: path.stat().st_mtime_ns for path in (tmp_path / 'parts' / 'JPEGImages').iterdir()}
        done = stylize_dataset(segmentation, options(styles, tmp_path / 'parts'))
        assert 0 < done.kept == len(there) < 6 and done.made == 6 - done.kept
        assert contents(tmp_path / 'parts') == contents(tmp_path / 'whole')
        assert all(path.stat().st_mtime_ns == time for path, time in there.items())

    def test_other_options_are_refused(self, segmentation: Config, styles: Path, tmp_path: Path):
        stylize_dataset(segmentation, options(styles, tmp_path / 'new'))
        with pytest.raises(ValueError, match='holds images of other options: seed is 1 and was 0; give another folder'):
            stylize_dataset(segmentation, options(styles, tmp_path / 'new', seed=1))
        save_image(styles / 'more.png', 9)
        with pytest.raises(ValueError, match='number of styles is 4 and was 3'):
            stylize_dataset(segmentation, options(styles, tmp_path / 'new'))
        assert json.loads((tmp_path / 'new/stylize.json').read_text())['seed'] == 0


def save_weights(folder: Path) -> tuple[str, str]:
    """Files of a network of AdaIN with the published names."""
    torch.manual_seed(3)
    network = AdaINStyle('random', 'random')
    vgg, place = {}, -1
    for name, value in network.encoder.state_dict().items():
        place = {'weight': place + 1, 'bias': place}[name.split('.')[-1]]
        vgg[f'{(0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)[place]}.{name.split(".")[-1]}'] = value
    torch.save(vgg, folder / 'vgg.pth')
    torch.save(network.decoder.state_dict(), folder / 'decoder.pth')
    return str(folder / 'vgg.pth'), str(folder / 'decoder.pth')


@pytest.mark.usefixtures('narrow')
def test_command_stylises_by_adain(classification: Config, styles: Path, tmp_path: Path, capsys):
    encoder, decoder = save_weights(tmp_path)
    classification.dump(tmp_path / 'config.py')
    words = ['--styles', str(styles), '--encoder', encoder, '--decoder', decoder, '--device', 'cpu']
    assert main(['stylize', str(tmp_path / 'config.py'), '--out', str(tmp_path / 'new'), *words]) == 0
    assert '4 images' in capsys.readouterr().out
    network, name = AdaINStyle(encoder, decoder), 'train/dog/1.png'
    files = sorted(styles.rglob('*.png'), key=lambda path: path.relative_to(styles).as_posix())
    style = network.statistics(read_image(files[style_number(name, 0, 3)]))
    expected = network.stylize(read_image(tmp_path / 'cls' / name), style)
    torch.testing.assert_close(read_image(tmp_path / 'new' / name), expected, atol=0.003, rtol=0)


class TestErrors:
    @pytest.mark.parametrize(
        ('words', 'message'),
        [
            ([], 'adain needs the weights of its encoder and decoder'),
            (['--encoder', 'a.pth'], 'adain needs the weights of its decoder'),
            (['--method', 'statistics', '--decoder', 'a.pth'], 'the method statistics has no decoder'),
            (['--method', 'statistics', '--alpha', '2'], r'alpha must be in [0, 1], got 2.0'),
            (['--method', 'statistics', '--split', 'val'], 'the config has no val_dataloader'),
            (['--encoder', 'a.pth', '--decoder', 'b.pth'], 'there is no checkpoint a.pth'),
        ],
    )
    def test_options_that_do_not_go_together(
        self, words: list[str], message: str, classification: Config, styles: Path, tmp_path: Path, capsys
    ):
        classification.dump(tmp_path / 'config.py')
        command = ['stylize', str(tmp_path / 'config.py'), '--styles', str(styles), '--out', str(tmp_path / 'new')]
        assert main([*command, *words]) == 2
        assert message in capsys.readouterr().err

    def test_folder_without_styles(self, classification: Config, tmp_path: Path):
        (tmp_path / 'empty').mkdir()
        with pytest.raises(FileNotFoundError, match='empty and its folders hold no image'):
            stylize_dataset(classification, options(tmp_path / 'empty', tmp_path / 'new'))

    def test_broken_image_is_named(self, classification: Config, styles: Path, tmp_path: Path):
        (tmp_path / 'cls/train/cat/2.png').write_bytes(b'no image')
        with pytest.raises(ValueError, match='cat/2.png is no image that MMCV can read'):
            stylize_dataset(classification, options(styles, tmp_path / 'new'))

    def test_images_elsewhere_have_no_place(self, classification: Config, styles: Path, tmp_path: Path):
        classification.train_dataloader.dataset.update(
            data_root=str(tmp_path / 'styles'), data_prefix=str(tmp_path / 'cls')
        )
        with pytest.raises(ValueError, match='is no file below .*styles, so that its copy would have no place'):
            stylize_dataset(classification, options(styles, tmp_path / 'new'))
