import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from sklearn.datasets import load_digits
from tool_scripts import load_script

from mmdas.datasets import DigitScenesDataset

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'digit_scenes.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    return load_script('dataset_converters/digit_scenes.py')


@pytest.fixture(scope='module')
def scenes(tool, tmp_path_factory) -> Path:
    out_dir = tmp_path_factory.mktemp('scenes')
    tool.make_digit_scenes(out_dir, num_train=60, num_val=40, size=48, max_digits=3, seed=0)
    return out_dir


def open_split(root: Path, split: str) -> DigitScenesDataset:
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}, {'type': 'PackSegInputs'}]
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DigitScenesDataset(f'ImageSets/Segmentation/{split}.txt', data_root=str(root), pipeline=pipeline)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}


@pytest.mark.parametrize(('split', 'count'), [('train', 60), ('val', 40)])
@pytest.mark.slow
def test_scenes_are_read_by_the_pipeline_of_mmseg_with_all_classes_present(scenes, split, count):
    samples = list(open_split(scenes, split))
    labels = np.stack([sample['data_samples'].gt_sem_seg.data[0].numpy() for sample in samples])
    assert labels.shape == (count, 48, 48)
    assert {tuple(sample['inputs'].shape) for sample in samples} == {(3, 48, 48)}
    assert np.unique(labels).tolist() == list(range(11))


def test_train_and_val_digits_are_disjoint_and_cover_all_values(tool):
    parts = tool.split_digits(seed=0)
    images, values = load_digits(return_X_y=True)
    assert not {images[i].tobytes() for i in parts['train']} & {images[i].tobytes() for i in parts['val']}
    assert sorted(np.concatenate([parts['train'], parts['val']])) == list(range(len(values)))
    assert set(values[parts['train']]) == set(values[parts['val']]) == set(range(10))


def test_scenes_of_a_split_are_drawn_from_its_digits_alone(tool, tmp_path, monkeypatch):
    make_scene, offered = tool.make_scene, []

    def record(rng, digits, *args):
        offered.append(digits.images)
        return make_scene(rng, digits, *args)

    monkeypatch.setattr(tool, 'make_scene', record)
    tool.make_digit_scenes(tmp_path, num_train=1, num_val=1, size=32, seed=5)
    for images, split in zip(offered, ('train', 'val'), strict=True):
        np.testing.assert_array_equal(images * 16, load_digits().images[tool.split_digits(5)[split]])


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tool, tmp_path):
    for folder, seed in (('first', 3), ('again', 3), ('other', 4)):
        tool.make_digit_scenes(tmp_path / folder, num_train=3, num_val=2, size=32, seed=seed)
    first, again, other = (content(tmp_path / folder) for folder in ('first', 'again', 'other'))
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.endswith('.jpg'))


def test_a_larger_set_begins_with_the_scenes_of_a_smaller_one(tool, tmp_path):
    tool.make_digit_scenes(tmp_path / 'small', num_train=1, num_val=1, size=32)
    tool.make_digit_scenes(tmp_path / 'large', num_train=2, num_val=1, size=32)
    small, large = (content(tmp_path / folder) for folder in ('small', 'large'))
    assert all(small[name] == large[name] for name in small if not name.endswith('.txt'))


def test_a_later_digit_hides_an_earlier_one(tool, monkeypatch):
    drawn = []

    def cover_everything(rng, digit, size):
        drawn.append(int(digit[0, 0]))
        return np.ones((size, size), np.float32)

    monkeypatch.setattr(tool, 'draw_ink', cover_everything)
    values = np.arange(10)
    digits = tool.Digits(np.broadcast_to(values[:, None, None], (10, 8, 8)), values)
    for seed in range(10):
        _, label = tool.make_scene(np.random.default_rng(seed), digits, 32, 3)
        assert np.unique(label).tolist() == [drawn[-1] + 1]
    assert len(drawn) > 10  # scenes with several digits were among them


def test_the_command_line_passes_every_option_on(tool, tmp_path, monkeypatch):
    options = ['--train', '2', '--val', '1', '--size', '40', '--digits', '2', '--seed', '9']
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(tmp_path / 'command'), *options])
    tool.main()
    tool.make_digit_scenes(tmp_path / 'function', num_train=2, num_val=1, size=40, max_digits=2, seed=9)
    assert content(tmp_path / 'command') == content(tmp_path / 'function')


@pytest.mark.parametrize(
    ('option', 'value'), [('num_train', 0), ('num_val', 0), ('size', 31), ('max_digits', 0)], ids=lambda value: value
)
def test_a_number_below_its_bound_is_refused_before_anything_is_written(tool, tmp_path, option, value):
    with pytest.raises(ValueError, match=rf'{option} must be at least \d+, got {value}'):
        tool.make_digit_scenes(tmp_path / 'out', **{option: value})
    assert not (tmp_path / 'out').exists()
