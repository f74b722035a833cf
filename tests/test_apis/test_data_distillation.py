"""A trained model labels images, and the toolbox's own data sets read them."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from tool_scripts import TOOLS, load_script

from mmdas.apis import Inferencer, load_config
from mmdas.apis.data_distillation import DataDistillation, distill_data, hard_label, hard_map
from mmdas.apis.data_distillation.data_set import metainfo_of, zero_is_reduced
from mmdas.apis.data_distillation.labels import ignored_as_written
from mmdas.apis.data_distillation.tally import check_kept, check_labels
from mmdas.commands import main
from mmdas.search.test_time import View, ViewPolicy

CONFIGS = Path(__file__).parents[2] / 'configs'
CONFIG = {
    'mmpretrain': str(CONFIGS / 'one_digit' / 'resnet18-3-stages_one-digit-64x64.py'),
    'mmseg': str(CONFIGS / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py'),
}
READ = {scope: load_config(config) for scope, config in CONFIG.items()}  # which takes long
IMAGE = DataDistillation(views=(), batch_size=2)
FLIPS = DataDistillation(views=('flip',))


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled scenes of both kinds, images of several folders and endings, and weights."""
    root = tmp_path_factory.mktemp('place')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS / 'dataset_converters'))
        load_script('dataset_converters/one_digit.py').make_one_digit(root / 'mmpretrain', num_train=6, num_val=1)
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(root / 'mmseg', num_train=4, num_val=1)
    for number, name in enumerate(('a.jpg', 'b.png', 'more/a.png', 'more/c d.jpg', '.hidden.png')):
        (root / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        image = cv2.imread(str(root / 'mmpretrain' / 'train' / f'train_0000{number}.jpg'))
        cv2.imwrite(str(root / 'images' / name), image)
    for scope in CONFIG:
        torch.manual_seed(3)
        cfg = copy.deepcopy(READ[scope])
        with DefaultScope.overwrite_default_scope(scope):
            model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
        head = model.head.fc if scope == 'mmpretrain' else model.decode_head.conv_seg
        torch.nn.init.normal_(head.weight, std=0.6)
        torch.save({'state_dict': model.state_dict()}, root / f'{scope}.pth')
    scores = Inferencer(copy.deepcopy(READ['mmpretrain']), root / 'mmpretrain.pth')(
        [str(root / 'images' / name) for name in NAMES]
    )
    logits = torch.stack([torch.as_tensor(one['pred_scores']).log() for one in scores])
    content = torch.load(root / 'mmpretrain.pth', weights_only=True)
    content['state_dict']['head.fc.bias'] -= logits.mean(0)  # so that images differ in their classes
    torch.save(content, root / 'mmpretrain.pth')
    return root


NAMES = ['a.jpg', 'b.png', 'more/a.png', 'more/c d.jpg']


def distilled(scope: str, place: Path, out: Path, options: DataDistillation = IMAGE, **more):
    cfg = copy.deepcopy(READ[scope])
    return distill_data(cfg, place / f'{scope}.pth', place / 'images', out, options, config=CONFIG[scope], **more)


def read_back(scope: str, dataset: dict) -> dict[str, np.ndarray | int]:
    """Labels as the toolbox's own data set reads them, by the names of the images."""
    with DefaultScope.overwrite_default_scope(scope):
        samples = [sample['data_samples'] for sample in DATASETS.build(dataset)]
    key = {sample.img_path.partition('images/')[2]: sample for sample in samples}
    if scope == 'mmseg':
        return {name: sample.gt_sem_seg.data[0].numpy() for name, sample in key.items()}
    return {name: int(sample.gt_label) for name, sample in key.items()}


def plain(scope: str, place: Path) -> list:
    infer = Inferencer(copy.deepcopy(READ[scope]), place / f'{scope}.pth')
    result = infer([str(place / 'images' / name) for name in NAMES], batch_size=1)
    return result['predictions'] if scope == 'mmseg' else [one['pred_label'] for one in result]


@pytest.mark.parametrize('scope', CONFIG)
def test_image_alone_gives_the_plain_prediction_and_the_toolbox_reads_it(scope: str, place: Path, tmp_path: Path):
    found = distilled(scope, place, tmp_path / 'set')
    labels = read_back(scope, found.dataset)
    expected = plain(scope, place)
    assert list(labels) == NAMES and (found.images, found.kept) == (4, 4)
    for one, other in zip(labels.values(), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize('scope', CONFIG)
@pytest.mark.slow
def test_config_that_is_written_trains_on_both_data_sets(scope: str, place: Path, tmp_path: Path, capsys):
    arguments = [CONFIG[scope], str(place / f'{scope}.pth'), str(place / 'images'), '--out-dir', str(tmp_path / 'set')]
    assert main(['distill-data', *arguments, '--views']) == 0
    output = capsys.readouterr().out
    assert '4 of 4 images have labels' in output and 'train with it: mmdas train' in output
    cfg = load_config(tmp_path / 'set' / 'retrain.py')
    first, second = cfg.train_dataloader.dataset.datasets
    assert all(line in output for line in (tmp_path / 'set' / 'retrain.py').read_text().splitlines())
    for part in (first, cfg.val_dataloader.dataset):
        part.data_root = str(place / scope)
    with DefaultScope.overwrite_default_scope(scope):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        count = len(DATASETS.build(first))
    assert len(dataset) == count + 4 and second.ann_file.startswith(str(tmp_path))
    samples = [dataset[0], dataset[count]]
    assert samples[0]['inputs'].dtype == samples[1]['inputs'].dtype
    assert dataset.metainfo['classes'] == dataset.datasets[1].metainfo['classes']
    assert [sample['data_samples'].img_path.startswith(str(place / 'images')) for sample in samples] == [False, True]


def test_views_are_undone_and_averaged_before_the_label_is_taken(place: Path, tmp_path: Path):
    found = distilled('mmseg', place, tmp_path / 'set', FLIPS)
    infer = Inferencer(copy.deepcopy(READ['mmseg']), place / 'mmseg.pth')
    labels = read_back('mmseg', found.dataset)
    for name in NAMES:
        image, mean = cv2.imread(str(place / 'images' / name)), 0
        for flip in (False, True):
            seen = np.ascontiguousarray(image[:, ::-1]) if flip else image
            sample = infer([seen], return_datasamples=True)
            sample = sample[0] if isinstance(sample, list) else sample
            probabilities = sample.seg_logits.data.softmax(0)
            mean = mean + (probabilities.flip(-1) if flip else probabilities) / 2
        expected = mean.argmax(0).numpy()
        assert (labels[name] == expected).mean() > 0.999  # equal but for ties


def test_images_that_are_not_sure_are_left_out(place: Path, tmp_path: Path):
    scores = [row['score'] for row in lines(distilled('mmpretrain', place, tmp_path / 'all').folder)]
    bound = sorted(scores)[2]
    found = distilled('mmpretrain', place, tmp_path / 'sure', DataDistillation(views=(), confidence=bound - 1e-5))
    assert found.kept == sum(score >= bound for score in scores) == 2 and sum(found.classes.values()) == 2
    sure = [name for name, score in zip(NAMES, scores, strict=True) if score >= bound]
    assert list(read_back('mmpretrain', found.dataset)) == sure


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'predictions.jsonl').read_text().splitlines()]


@pytest.mark.parametrize('channels', [4, 1])
def test_pixels_that_are_not_sure_do_not_count(channels: int):
    logits = torch.randn(channels, 5, 6)
    if channels == 1:
        data = logits.sigmoid()
        labels = (data > 0.3).float()
    else:
        data, labels = logits, logits.argmax(0, keepdim=True)
    sample = SimpleNamespace(seg_logits=SimpleNamespace(data=data), pred_sem_seg=SimpleNamespace(data=labels))
    found, kept = hard_map(sample, 0.6, 255, shift=1)
    for y in range(5):
        for x in range(6):
            label = int(labels[0, y, x])
            score = float(data.softmax(0)[label, y, x]) if channels > 1 else float(abs(1 - label - data[0, y, x]))
            assert found[y, x] == (label + 1 if score >= 0.6 else 255)
    assert kept == pytest.approx((found != 255).mean()) and 0 < kept < 1


def test_labels_of_a_set_without_zero_are_read_as_they_were_predicted(tmp_path: Path, mmseg_scope):
    logits = torch.randn(3, 5, 6)
    labels = logits.argmax(0, keepdim=True)
    sample = SimpleNamespace(seg_logits=SimpleNamespace(data=logits), pred_sem_seg=SimpleNamespace(data=labels))
    found, _ = hard_map(sample, 0.5, 255, shift=1)
    cv2.imwrite(str(tmp_path / 'x.png'), found)
    cfg = Config({'default_scope': 'mmseg', 'model': {}})
    assert zero_is_reduced(cfg, {'type': 'ADE20KDataset'}) and not zero_is_reduced(cfg, {'type': 'CityscapesDataset'})
    from mmseg.datasets.transforms import LoadAnnotations

    given = {'seg_map_path': str(tmp_path / 'x.png'), 'reduce_zero_label': True, 'seg_fields': [], 'label_map': None}
    read = LoadAnnotations()(given)['gt_seg_map']
    sure = logits.softmax(0).amax(0) >= 0.5
    np.testing.assert_array_equal(read, np.where(sure, labels[0], 255))


@pytest.mark.parametrize(('ignored', 'zero'), [(255, True), (7, True), (0, False), (7, False), (254, False)])
def test_pixels_that_are_not_sure_are_read_as_what_the_head_leaves_out(ignored, zero, tmp_path: Path, mmseg_scope):
    from mmseg.datasets.transforms import LoadAnnotations

    logits = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0))
    labels = logits.argmax(0, keepdim=True)
    sample = SimpleNamespace(seg_logits=SimpleNamespace(data=logits), pred_sem_seg=SimpleNamespace(data=labels))
    found, kept = hard_map(sample, 0.5, ignored_as_written(ignored, int(zero)), shift=int(zero))
    cv2.imwrite(str(tmp_path / 'x.png'), found)
    given = {'seg_map_path': str(tmp_path / 'x.png'), 'reduce_zero_label': zero, 'seg_fields': [], 'label_map': None}
    read = LoadAnnotations()(given)['gt_seg_map']
    np.testing.assert_array_equal(read, np.where(logits.softmax(0).amax(0) >= 0.5, labels[0], ignored))
    assert 0 < kept < 1


@pytest.mark.parametrize(('ignored', 'shift'), [(-100, 0), (-1, 1), (256, 0), (254, 1)])
def test_a_label_that_no_byte_holds_is_refused(ignored: int, shift: int):
    with pytest.raises(ValueError, match=f'decode_head.ignore_index is {ignored}, which no label map of one byte'):
        ignored_as_written(ignored, shift)


def test_stopped_run_goes_on_and_gives_what_an_uninterrupted_one_gives(place: Path, tmp_path: Path, monkeypatch):
    whole = distilled('mmseg', place, tmp_path / 'whole')
    looked: list[str] = []
    batches = Inferencer.batches

    def stopping(self, images, batch_size=1):
        for number, data in enumerate(batches(self, images, batch_size)):
            if number == 1 and not looked:
                looked.append('stopped')
                raise KeyboardInterrupt
            yield data

    monkeypatch.setattr(Inferencer, 'batches', stopping)
    with pytest.raises(KeyboardInterrupt):
        distilled('mmseg', place, tmp_path / 'set')
    assert [row['image'] for row in lines(tmp_path / 'set')] == NAMES[:2]
    with (tmp_path / 'set' / 'predictions.jsonl').open('a') as stream:
        stream.write('{"image": "more/a.png", "kep')  # a line that never came to its end
    (tmp_path / 'set' / 'labels' / 'a.jpg.png').unlink()
    told: list[str] = []
    again = distilled('mmseg', place, tmp_path / 'set', tell=told.append)
    assert told[0] == '1 of 4 images have labels already' and told[-1].startswith('3 of 3 images, ')
    assert again.classes == pytest.approx(whole.classes)
    for name in NAMES:
        one, other = ((folder / 'labels' / f'{name}.png').read_bytes() for folder in (again.folder, whole.folder))
        assert one == other


def test_folder_of_other_settings_is_refused(place: Path, tmp_path: Path):
    distilled('mmpretrain', place, tmp_path)
    match = 'holds labels of another distillation: views is .* confidence is 0.9 and was 0.0'
    with pytest.raises(ValueError, match=match):
        distilled('mmpretrain', place, tmp_path, DataDistillation(views=('flip',), confidence=0.9))


def test_a_confidence_that_no_image_has_is_told_with_the_surest():
    rows = [
        {'image': 'a.png', 'label': 1, 'score': 0.4, 'kept': 0},
        {'image': 'b.png', 'label': 0, 'score': 0.6, 'kept': 0},
    ]
    with pytest.raises(ValueError, match='no image of photos has a label: .* 0.9, the surest .* has 0.6; give'):
        check_kept(rows, Path('photos'), 0.9)
    with pytest.raises(ValueError, match='all are below --confidence 0.9; give a lower one'):
        check_kept([{'kept': 0.0, 'pixels': {}}], Path('photos'), 0.9)
    check_kept([*rows, {'label': 2, 'score': 0.95, 'kept': 1}], Path('photos'), 0.9)


@pytest.mark.slow
def test_slips_are_told(place: Path, tmp_path: Path, capsys):
    for options, match in (
        (dict(confidence=2), 'confidence is 2'),
        (dict(batch_size=0), 'batch-size is 0'),
        (dict(views=('spin',)), 'no group of views'),
    ):
        with pytest.raises(ValueError, match=match):
            DataDistillation(**options)
    (tmp_path / 'none').mkdir()
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'x.png').write_bytes(b'no image')
    out = ['--out-dir', str(tmp_path / 'set')]
    for folder, config, match in (
        (tmp_path / 'gone', CONFIG['mmpretrain'], 'there is no folder'),
        (tmp_path / 'none', CONFIG['mmpretrain'], 'holds no image'),
        (tmp_path / 'broken', CONFIG['mmpretrain'], 'x.png is no image'),
        (place / 'images', 'resnet18_8xb16_cifar10', 'holds pixels and reads no files'),
    ):
        assert main(['distill-data', config, str(place / 'mmpretrain.pth'), str(folder), *out]) == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmdas'))
        assert match in line


def test_data_set_with_fewer_classes_than_the_model_is_told():
    rows = [{'label': 1, 'kept': 1}, {'label': 3, 'kept': 1}]
    check_labels(rows, tuple('abcd'))
    check_labels([{'pixels': {'0': 0.5, '3': 0.5}}], None)
    for found in (rows, [{'pixels': {'0': 0.5, '3': 0.5}}]):
        with pytest.raises(ValueError, match='predicts class 3, but the data set of the training has 3 classes'):
            check_labels(found, tuple('abc'))


def test_policy_of_views_takes_the_place_of_groups():
    policy = ViewPolicy((View(), View(size=1.5)), (0.75, 0.25))
    assert DataDistillation(policy=policy).view_policy is policy
    assert DataDistillation(views=()).view_policy.is_image
    assert len(DataDistillation().view_policy.views) == 8  # the image, three sizes, and all of them mirrored
    assert hard_label(torch.tensor([0.2, 0.7, 0.1]), 0.69) == (1, pytest.approx(0.7), True)


def test_classes_are_of_the_types_that_the_training_has():
    cfg = load_config('mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py')
    from mmseg.datasets import CityscapesDataset

    found = metainfo_of(cfg, cfg.train_dataloader.dataset, ())
    assert found == CityscapesDataset.METAINFO and type(found['classes']) is type(CityscapesDataset.METAINFO['classes'])
    two = ['car', 'road']
    some = metainfo_of(cfg, {'type': 'CityscapesDataset', 'metainfo': {'classes': two}}, ())
    with DefaultScope.overwrite_default_scope('mmseg'):
        real = CityscapesDataset(metainfo={'classes': two}, lazy_init=True).metainfo
    assert some['classes'] == real['classes']
    assert [list(colour) for colour in some['palette']] == [list(colour) for colour in real['palette']]
