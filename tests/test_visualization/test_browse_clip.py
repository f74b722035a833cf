from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from PIL import Image, ImageSequence

from mmdas.commands import browse, run_command
from mmdas.search.das import Policy, PolicyEdge

TOOL = Path(__file__).parents[2] / 'tools' / 'visualization' / 'browse_clip.py'
SEGMENTATION = """
default_scope = 'mmseg'
model = dict(type='EncoderDecoder', data_preprocessor=dict(
    type={type!r}, mean=[100.0, 110.0, 120.0], std=[50.0, 51.0, 52.0], bgr_to_rgb=True, size=(32, 40), {options}))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
train_dataloader = dict(dataset=dict(
    type='BaseSegDataset', data_root={root!r}, data_prefix=dict(img_path='images', seg_map_path='labels'),
    metainfo=dict(classes=('a', 'b'), palette=[[0, 0, 0], [9, 9, 9]]), pipeline=pipeline))
"""
CLASSIFICATION = """
default_scope = 'mmpretrain'
data_preprocessor = dict(num_classes=1, mean=[100.0, 110.0, 120.0], std=[50.0, 51.0, 52.0], to_rgb=True)
model = dict(type='ImageClassifier')
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(dataset=dict(type='CustomDataset', data_root={root!r}, data_prefix='images', pipeline=pipeline,
                                     with_label=False))
"""
PLAIN = 'mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py'
# The images of `data_root` in the place of Cityscapes.
DATA = [
    'train_dataloader.dataset.data_prefix.img_path=images',
    'train_dataloader.dataset.data_prefix.seg_map_path=labels',
    'train_dataloader.dataset.img_suffix=.jpg',
    'train_dataloader.dataset.seg_map_suffix=.png',
]


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    return browse


@pytest.fixture(autouse=True)
def keep_default_scope() -> Iterator[None]:
    """The tool sets the default scope of the whole process; the other tests get theirs back."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """Five images of 32 x 40 pixels in their own colours, and label maps."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    for number in range(5):
        noise = rng.integers(0, 50, (32, 40, 3)) + np.array([number * 40, 0, 200 - number * 40])
        cv2.imwrite(str(tmp_path / 'images' / f'{number}.jpg'), noise.astype(np.uint8))
        cv2.imwrite(str(tmp_path / 'labels' / f'{number}.png'), np.zeros((32, 40), np.uint8))
    return tmp_path


def segmentation_config(root: Path, type: str = 'mmdas.DASSegDataPreProcessor', options: str = '') -> Path:
    path = root / 'config.py'
    path.write_text(SEGMENTATION.format(root=str(root), type=type, options=options))
    return path


def classification_config(root: Path) -> Path:
    path = root / 'config.py'
    path.write_text(CLASSIFICATION.format(root=str(root)))
    return path


def clips_of(tool: ModuleType, config: Path, num: int, policy: Path | None = None) -> np.ndarray:
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    return tool.make_clips(tool.build_preprocessor(cfg, policy), tool.load_samples(cfg, num))


def read_images(root: Path, *numbers: int) -> list[np.ndarray]:
    return [cv2.cvtColor(cv2.imread(str(root / 'images' / f'{n}.jpg')), cv2.COLOR_BGR2RGB) for n in numbers]


def random_policy(root: Path, num_frames: int) -> Path:
    path = root / 'policy.json'
    Policy.random(num_frames=num_frames, seed=1).save(path)
    return path


@pytest.mark.slow
def test_repeated_frames_are_the_images_of_the_data_set_in_their_colours(tool: ModuleType, data_root: Path) -> None:
    clips = clips_of(tool, segmentation_config(data_root, options='num_frames=3'), 3)
    assert clips.shape == (3, 3, 32, 40, 3)
    for clip, image in zip(clips, read_images(data_root, 0, 2, 4), strict=True):
        np.testing.assert_array_equal(clip, np.stack([image] * 3))


@pytest.mark.parametrize('make_config', [segmentation_config, classification_config])
@pytest.mark.slow
def test_a_policy_moves_all_frames_but_the_reference(tool: ModuleType, data_root: Path, make_config) -> None:
    clip = clips_of(tool, make_config(data_root), 1, random_policy(data_root, 4))[0]
    image = read_images(data_root, 0)[0]
    assert [bool((frame == image).all()) for frame in clip] == [False, False, True, False]


@pytest.mark.slow
def test_a_policy_replaces_the_cell_and_the_frames_of_a_search(tool: ModuleType, data_root: Path) -> None:
    config = segmentation_config(data_root, options="num_frames=3, cell=dict(type='mmdas.DASCell')")
    assert clips_of(tool, config, 1).shape[1] == 3
    assert clips_of(tool, config, 1, random_policy(data_root, 4)).shape[1] == 4


@pytest.mark.parametrize('policy', [False, True])
@pytest.mark.slow
def test_command_saves_a_picture_of_the_asked_number_of_clips(tool: ModuleType, data_root: Path, policy: bool) -> None:
    heights = []
    for num in ('1', '3'):
        out = data_root / 'new' / f'{num}.png'
        arguments = [str(segmentation_config(data_root, 'SegDataPreProcessor')), '--num', num, '--out', str(out)]
        run_command('browse', arguments + (['--policy', str(random_policy(data_root, 4))] if policy else []))
        heights.append(cv2.imread(str(out)).shape[0])
    assert heights[1] > 2 * heights[0] > 0


@pytest.mark.slow
def test_settings_of_the_command_line_replace_the_configs(tool: ModuleType, data_root: Path) -> None:
    widths = []
    for num_frames in (1, 5):
        out = data_root / f'{num_frames}.png'
        option = f'model.data_preprocessor.num_frames={num_frames}'
        run_command('browse', [str(segmentation_config(data_root)), '--out', str(out), '--cfg-options', option])
        widths.append(cv2.imread(str(out)).shape[1])
    assert widths[1] > 4 * widths[0]


@pytest.mark.slow
def test_more_clips_than_images_show_each_image_once(tool: ModuleType, data_root: Path) -> None:
    assert len(clips_of(tool, segmentation_config(data_root), 100)) == 5


@pytest.mark.parametrize(
    ('arguments', 'frames'), [(['repeat', '--frames', '3'], 3), (['search'], 4), (['policy.json'], 5)]
)
@pytest.mark.slow
def test_plain_config_shows_the_clips_of_what_it_becomes(
    data_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str], frames: int
) -> None:
    monkeypatch.chdir(data_root)
    random_policy(data_root, 5)
    root = f'train_dataloader.dataset.data_root={data_root}'
    command = [PLAIN, '--num', '1', '--das', *arguments, '--cfg-options', root, *DATA]
    assert run_command('browse', command) == 0
    assert f'1 clip of {frames} frames: clip.png' in capsys.readouterr().out


def photos(root: Path) -> list[str]:
    return [str(root / 'images' / f'{number}.jpg') for number in (0, 3)]


def test_photos_and_a_policy_need_no_config(data_root: Path, capsys: pytest.CaptureFixture) -> None:
    edge = PolicyEdge(0, 2, 'translate_x', 0.25)
    Policy(4, 1, (edge,), reference_size=(32, 40)).save(data_root / 'right.json')
    out = data_root / 'x.gif'
    command = ['--policy', str(data_root / 'right.json'), '--images', *photos(data_root), '--out', str(out)]
    assert run_command('browse', command) == 0
    assert '2 clips of 4 frames' in capsys.readouterr().out
    with Image.open(out) as picture:
        frames = [np.array(frame.convert('RGB')).astype(int)[-32:] for frame in ImageSequence.Iterator(picture)]
    assert len(frames) == 4 and frames[0].shape == (32, 80, 3)
    for column, image in enumerate(read_images(data_root, 0, 3)):
        reference, later = (frame[:, 40 * column : 40 * column + 40] for frame in (frames[2], frames[3]))
        assert np.abs(reference - image).mean() < 12, 'a GIF has 256 colours'
        assert np.abs(later[:, 10:] - reference[:, :-10]).mean() < 12 and later[:, :10].max() < 12


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--images', 'x.png'], '--images goes with --policy FILE'),
        ([], 'give a config, or --images FILES with --policy FILE'),
        (['--images', 'nowhere.png', '--policy', 'POLICY'], 'there is no image nowhere.png'),
        (['--images', 'POLICY', '--policy', 'POLICY'], 'cannot be read as an image'),
    ],
)
def test_photos_that_cannot_be_shown_are_told(
    data_root: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    policy = str(random_policy(data_root, 3))
    assert run_command('browse', [policy if word == 'POLICY' else word for word in arguments]) == 2
    assert message in capsys.readouterr().err


def test_no_clip_is_refused(tool: ModuleType, data_root: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_command('browse', [str(segmentation_config(data_root)), '--num', '0']) == 2
    assert '--num must be at least 1, got 0' in capsys.readouterr().err


def test_a_config_of_another_toolbox_is_refused(tool: ModuleType) -> None:
    with pytest.raises(ValueError, match="default_scope of the config is 'mmdet'"):
        tool.build_preprocessor(Config({'default_scope': 'mmdet', 'model': {}}), None)
