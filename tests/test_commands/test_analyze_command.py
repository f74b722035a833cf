"""``mmdas analyze``: maps and boxes of files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import TOOLS, load_script

from mmdas.apis import DASOptions, load_config
from mmdas.apis.analysis import Analyzer
from mmdas.commands import main
from mmdas.datasets import DigitScenesDataset

CONFIGS = Path(__file__).parents[2] / 'configs'
CLS = str(CONFIGS / 'one_digit' / 'resnet18-3-stages_one-digit-64x64.py')
SEG = str(CONFIGS / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py')
DAS = ['--das', 'repeat', '--frames', '2', '--fusion', 'tsm']


def save_weights(path: Path, config: str, das: str | None = None) -> str:
    cfg = load_config(config, das=das, options=DASOptions(2, 'tsm') if das else None)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
    meta = {'dataset_meta': {'classes': cfg.get('classes') or DigitScenesDataset.METAINFO['classes']}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return str(path)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('one_digit')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS / 'dataset_converters'))
        load_script('dataset_converters/one_digit.py').make_one_digit(root, num_train=1, num_val=3)
    return root


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_weights(tmp_path_factory.mktemp('weights') / 'cls.pth', CLS)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_boxes_of_the_data_set_hold_their_digits(scenes: Path):
    for name, (left, top, right, bottom) in read(scenes / 'val_boxes.json').items():
        mask = cv2.imread(str(scenes / 'masks' / f'{Path(name).stem}.png'), cv2.IMREAD_GRAYSCALE)
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)
    assert all(0 <= int(line.split()[1]) < 10 for line in (scenes / 'val.txt').read_text().splitlines())


@pytest.mark.parametrize('kind', ['saliency', 'cam'])
@pytest.mark.slow
def test_maps_of_files_are_those_of_the_analyzer(kind: str, scenes: Path, weights: str, tmp_path: Path, capsys):
    assert main(['analyze', kind, CLS, weights, str(scenes / 'val'), '--out-dir', str(tmp_path)]) == 0
    table = read(tmp_path / f'{kind}.json')
    assert [Path(row['image']).name for row in table['images']] == [f'val_0000{n}.jpg' for n in range(3)]
    for row, found in zip(table['images'], Analyzer(CLS, weights)(str(scenes / 'val'), kind), strict=True):
        assert (row['highest'], row['class'], row['size']) == (float(found.scores.max()), found.label, [64, 64])
        file = cv2.imread(row['image'])[..., ::-1].astype(int)
        assert np.abs(found.picture.astype(int) - file).max() <= 1, 'the picture is the file'
        for folder in ('maps', 'overlays'):
            assert cv2.imread(str(tmp_path / folder / row['file'])).shape == (64, 64, 3)
    assert f'3 images: {tmp_path / kind}.json' in capsys.readouterr().out


def test_boxes_are_found_and_scored_and_carried_to_the_files(scenes: Path, weights: str, tmp_path: Path, capsys):
    options = ['--boxes', str(scenes / 'val_boxes.json'), '--out-dir', str(tmp_path), '--class', 'two']
    assert main(['analyze', 'localize', CLS, weights, str(scenes / 'val'), *options]) == 0
    table = read(tmp_path / 'localize.json')
    for row in table['images']:
        left, top, right, bottom = row['box']
        mask = cv2.imread(str(tmp_path / 'masks' / row['file']), cv2.IMREAD_GRAYSCALE)
        assert mask[top:bottom, left:right].any(0).all() and mask.sum() == mask[top:bottom, left:right].sum()
        assert row['file_box'] == row['box'] and row['class_name'] == 'two'
    assert 0 <= table['scores']['MaxBoxAccV2'] <= 100
    assert 'MaxBoxAccV2: ' in capsys.readouterr().out


def test_threshold_takes_the_place_of_the_cut(scenes: Path, weights: str, tmp_path: Path):
    options = ['--map', 'cam', '--threshold', '0.0', '--out-dir', str(tmp_path)]
    assert main(['analyze', 'localize', CLS, weights, str(scenes / 'val' / 'val_00000.jpg'), *options]) == 0
    assert read(tmp_path / 'localize.json')['images'][0]['box'] == [0, 0, 64, 64]


@pytest.mark.parametrize(('config', 'das'), [(SEG, None), (CLS, 'repeat')])
@pytest.mark.slow
def test_other_models_have_saliency_too(config: str, das: str | None, scenes: Path, tmp_path: Path, capsys):
    weights = save_weights(tmp_path / 'weights.pth', config, das)
    given = ['--out-dir', str(tmp_path), *(DAS if das else [])]
    assert main(['analyze', 'saliency', config, weights, str(scenes / 'val' / 'val_00000.jpg'), *given]) == 0
    (row,) = read(tmp_path / 'saliency.json')['images']
    assert row['highest'] > row['lowest'] == 0 or row['highest'] > row['lowest'] > 0
    assert (row['class'] is None) == (config == SEG)


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [
        (['saliency', CLS, 'WEIGHTS', 'VAL', '--class', 'cat'], "there is no class 'cat'; known are zero, one"),
        (['saliency', CLS, 'WEIGHTS', 'VAL', '--class', '77'], 'class 77 is none of the 10 classes'),
        (['saliency', CLS, 'gone.pth', 'VAL'], 'there is no checkpoint gone.pth'),
        (['saliency', CLS, 'WEIGHTS', 'nowhere'], 'there is no image nowhere'),
        (['localize', CLS, 'WEIGHTS', 'VAL', '--threshold', '2'], 'threshold is 2.0'),
        (['localize', CLS, 'WEIGHTS', 'VAL', '--boxes', 'EMPTY'], 'has no box of val_00000.jpg (and 2 others)'),
        (['saliency', CLS, 'WEIGHTS', 'VAL', '--das', 'search'], '--das search is for a search'),
    ],
)
@pytest.mark.slow
def test_a_slip_is_one_line(arguments: list[str], match: str, scenes: Path, weights: str, tmp_path: Path, capsys):
    (tmp_path / 'empty.json').write_text('{}')
    places = {'WEIGHTS': weights, 'VAL': str(scenes / 'val'), 'EMPTY': str(tmp_path / 'empty.json')}
    words = [places.get(word, word) for word in arguments]
    assert main(['analyze', *words, '--out-dir', str(tmp_path / 'out')]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmdas'))
    assert match in line


def test_a_slip_in_an_option_of_a_verb_names_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(['analyze', 'localize', CLS, 'x.pth', 'x.png', '--treshold', '1'])
    assert 'there is no option --treshold; did you mean --threshold?' in capsys.readouterr().err


@pytest.mark.slow
def test_confusions_of_a_classification_count_its_images(scenes: Path, weights: str, tmp_path: Path, capsys):
    options = ['--cfg-options', f'test_dataloader.dataset.data_root={scenes}', 'test_dataloader.num_workers=0']
    options += ['test_dataloader.persistent_workers=False', '--out-dir', str(tmp_path), '--work-dir', str(tmp_path)]
    assert main(['analyze', 'confusion', CLS, weights, *options]) == 0
    counts = np.array(read(tmp_path / 'confusion.json')['counts'])
    labels = [int(line.split()[1]) for line in (scenes / 'val.txt').read_text().splitlines()]
    assert counts.sum(1).tolist() == np.bincount(labels, minlength=10).tolist()
    predicted = [found.label for found in Analyzer(CLS, weights)(str(scenes / 'val'), 'saliency')]
    assert counts.sum(0).tolist() == np.bincount(predicted, minlength=10).tolist()
