"""Predictions of our configs and checkpoints on files, folders and arrays."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, MODELS, DefaultScope
from mmengine.runner import save_checkpoint
from mmseg.apis import MMSegInferencer

from mmdas.apis import Inferencer, load_config, preprocessor_of
from mmdas.apis.clip_config import reads_files
from mmdas.apis.image_inputs import ImageError
from mmdas.apis.inference import unwrap_test_set
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[2]
CONFIGS = {
    'mmseg': 'configs/digit_scenes/das-4f-gsf_fcn_r18-d4_digits-48x48.py',
    'mmpretrain': 'configs/cifar10_reduced/das-4f-gsf_resnet18-quarter_cifar10-reduced.py',
}


def save_model(toolbox: str, folder: Path) -> tuple[str, str]:
    """A config with a policy, and the checkpoint of its model with random weights."""
    cfg = load_config(ROOT / CONFIGS[toolbox])
    Policy.random(4).save(folder / 'policy.json')
    preprocessor_of(cfg).policy = str(folder / 'policy.json')
    cfg.dump(folder / f'{toolbox}.py')
    with DefaultScope.overwrite_default_scope(toolbox):
        model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
    classes = tuple('abcdefghijk')[: 11 if toolbox == 'mmseg' else 10]
    meta = {'dataset_meta': {'classes': classes, 'palette': [[0, 0, index] for index in range(len(classes))]}}
    save_checkpoint({'state_dict': model.state_dict(), 'meta': meta}, str(folder / f'{toolbox}.pth'))
    return str(folder / f'{toolbox}.py'), str(str(folder / f'{toolbox}.pth'))


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Toolbox -> config and checkpoint."""
    torch.manual_seed(0)
    return {toolbox: save_model(toolbox, tmp_path_factory.mktemp(toolbox)) for toolbox in CONFIGS}


@pytest.fixture(scope='module')
def inferencers(models) -> dict[str, Inferencer]:
    """Both in one process."""
    return {toolbox: Inferencer(config, checkpoint, device='cpu') for toolbox, (config, checkpoint) in models.items()}


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    for index in range(3):
        image = np.random.default_rng(index).integers(0, 256, (32, 32, 3), np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), image)
    (folder / 'notes.txt').write_text('no image')
    return folder


def label_maps(toolbox: str, result) -> list[np.ndarray]:
    """What was predicted for every image: a label map, or the scores of all classes."""
    if toolbox == 'mmpretrain':
        return [entry['pred_scores'] for entry in result]
    predictions = result['predictions']
    return predictions if isinstance(predictions, list) else [predictions]


@pytest.mark.parametrize('toolbox', CONFIGS)
@pytest.mark.slow
def test_file_folder_array_and_list_give_the_same_predictions(inferencers, images: Path, toolbox: str):
    infer, files = inferencers[toolbox], sorted(images.glob('*.png'))
    arrays = [cv2.imread(str(file)) for file in files]
    expected = label_maps(toolbox, infer([str(file) for file in files]))
    assert len(expected) == 3
    assert not np.array_equal(expected[0], expected[1])
    for given in (images, str(images), files, arrays):
        found = label_maps(toolbox, infer(given))
        assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
    for given in (files[0], str(files[0]), arrays[0]):
        assert np.allclose(label_maps(toolbox, infer(given))[0], expected[0], atol=1e-5)


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_prediction_is_that_of_the_model_on_the_normalised_image(inferencers, images: Path, toolbox: str):
    infer, image = inferencers[toolbox], cv2.imread(str(images / '0.png'))
    model = infer.host.model
    # CIFAR's own pixels are RGB, and its configs leave the order of the channels as it is.
    inputs = torch.from_numpy(image.copy()).permute(2, 0, 1)
    inputs = inputs.flip(0) if toolbox == 'mmpretrain' else inputs
    with torch.no_grad():
        data = model.data_preprocessor({'inputs': [inputs] if toolbox == 'mmseg' else inputs[None]}, False)
        logits = model(data['inputs'], mode='tensor')
    found = label_maps(toolbox, infer(image))[0]
    if toolbox == 'mmpretrain':
        assert np.allclose(found, logits.softmax(1)[0], atol=1e-5)
    else:
        upsampled = torch.nn.functional.interpolate(logits, image.shape[:2], mode='bilinear', align_corners=False)
        assert (found == upsampled.argmax(1)[0].numpy()).mean() > 0.99


def test_stock_inferencer_of_mmseg_takes_our_config(models, inferencers, images: Path):
    config, checkpoint = models['mmseg']
    with DefaultScope.overwrite_default_scope('mmseg'):
        stock = MMSegInferencer(config, weights=checkpoint, device='cpu')(str(images / '0.png'))['predictions']
    assert np.array_equal(stock, inferencers['mmseg'](images / '0.png')['predictions'])


def test_pictures_of_the_predictions_are_written(inferencers, images: Path, tmp_path: Path):
    inferencers['mmseg'](images / '0.png', out_dir=str(tmp_path / 'seg'))
    inferencers['mmpretrain'](images / '0.png', show_dir=str(tmp_path / 'cls'))
    assert {path.suffix for path in tmp_path.rglob('*') if path.is_file()} == {'.png'}
    assert len(list((tmp_path / 'cls').glob('*.png'))) == 1


@pytest.mark.parametrize('given', ['absent.png', ['absent.png']])
def test_missing_image_is_named(inferencers, given):
    with pytest.raises(FileNotFoundError, match=r'there is no image absent\.png'):
        inferencers['mmseg'](given)


@pytest.mark.parametrize('toolbox', ['mmseg', 'mmpretrain'])
def test_a_broken_image_is_named_with_what_to_do(inferencers, images: Path, tmp_path: Path, toolbox: str):
    whole = next(path for path in sorted(images.iterdir()) if path.suffix == '.png')
    shutil.copy(whole, tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(whole.read_bytes()[:60])
    infer = inferencers[toolbox]
    told = r'the image .*b.png is .*; take it away, and run the command again'
    with pytest.raises(ImageError, match=told):
        infer(tmp_path)
    with pytest.raises(ImageError, match=told):
        list(infer.batches(infer.expand(tmp_path), 2))


def test_folder_without_images_is_named(inferencers, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path} holds no image'):
        inferencers['mmseg'](tmp_path)


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_policy_of_the_checkpoint_stands_in_for_an_absent_file(models, inferencers, images: Path, toolbox: str):
    config, checkpoint = models[toolbox]
    text = Path(config).read_text()
    moved = Path(config).with_name('moved.py')
    moved.write_text(text.replace('policy.json', 'gone.json'))
    found, expected = (
        label_maps(toolbox, infer(images / '0.png'))[0]
        for infer in (Inferencer(moved, checkpoint, device='cpu'), inferencers[toolbox])
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_another_policy_than_that_of_the_training_is_used_on_purpose_only(models, tmp_path: Path, toolbox: str):
    Policy.random(4, seed=7).save(tmp_path / 'other.json')
    options = dict(device='cpu', policy=tmp_path / 'other.json')
    with pytest.raises(ValueError, match=r'data_preprocessor\.policy\..* and was .*--accept-difference'):
        Inferencer(*models[toolbox], **options)
    infer = Inferencer(*models[toolbox], **options, accept_difference=True)
    assert infer.host.model.data_preprocessor.policy.policy == Policy.load(tmp_path / 'other.json')


def test_missing_checkpoint_and_config_are_named(models):
    with pytest.raises(FileNotFoundError, match='there is no checkpoint absent'):
        Inferencer(models['mmseg'][0], 'absent.pth')
    with pytest.raises(FileNotFoundError, match=r'no file absent\.py and no installed config'):
        Inferencer('absent.py', models['mmseg'][1])


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_lists_may_hold_folders(inferencers, images: Path, toolbox: str):
    infer = inferencers[toolbox]
    expected = label_maps(toolbox, infer(images))
    found = label_maps(toolbox, infer([images, images / '0.png']))
    # after some images of a size the clips come from kept operators, which changes them by rounding errors
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, [*expected, expected[0]], strict=True))


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_images_of_several_sizes_in_one_batch_are_predicted_as_alone(inferencers, images: Path, toolbox: str):
    infer, image = inferencers[toolbox], cv2.imread(str(images / '0.png'))
    given = [image, image, image[:24, :28], image]
    expected = [label_maps(toolbox, infer(one))[0] for one in given]
    found = label_maps(toolbox, infer(given, batch_size=2))
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_results_are_named_by_their_images_and_none_is_overwritten(inferencers, images: Path, tmp_path: Path):
    names = ['a/x.png', 'b/x.png', 'b/y.jpg']
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), cv2.imread(str(images / f'{names.index(name)}.png')))
    files = [tmp_path / name for name in names]
    found = inferencers['mmseg'](files, out_dir=tmp_path / 'seg')['predictions']
    inferencers['mmpretrain'](files, show_dir=tmp_path / 'new/cls')
    written = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / 'seg').rglob('*.*'))
    assert written == [
        *(f'seg/pred/{name}.png' for name in ('a_x', 'b_x', 'y')),
        *(f'seg/vis/{name}' for name in ('a_x.png', 'b_x.png', 'y.jpg')),
    ]
    assert sorted(path.name for path in (tmp_path / 'new/cls').iterdir()) == ['a_x.png', 'b_x.png', 'y.png']
    for name, labels in zip(('a_x', 'b_x', 'y'), found, strict=True):
        assert np.array_equal(cv2.imread(str(tmp_path / f'seg/pred/{name}.png'), cv2.IMREAD_UNCHANGED), labels)


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_arrays_that_no_model_expects_are_refused_and_grey_ones_converted(inferencers, images: Path, toolbox: str):
    infer, image = inferencers[toolbox], cv2.imread(str(images / '0.png'))
    grey = image[..., 0]
    expected = label_maps(toolbox, infer(np.dstack([grey] * 3)))[0]
    assert np.array_equal(label_maps(toolbox, infer(grey))[0], expected)
    assert np.array_equal(label_maps(toolbox, infer(np.dstack([grey] * 4)))[0], expected)
    with pytest.raises(TypeError, match='image 1 is an array of float64'):
        infer([image, image / 255])


def nested(dataset: dict) -> dict:
    return dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[dataset, dataset]))


@pytest.mark.parametrize('toolbox', CONFIGS)
def test_test_set_within_wrappers_prepares_images_as_without(models, inferencers, images: Path, toolbox: str):
    config, checkpoint = models[toolbox]
    cfg = load_config(config)
    cfg.test_dataloader.dataset = nested(cfg.test_dataloader.dataset.to_dict())
    wrapped = Path(config).with_name('wrapped.py')
    cfg.dump(wrapped)
    infer = Inferencer(wrapped, checkpoint, device='cpu')
    found, expected = (label_maps(toolbox, one(images / '0.png'))[0] for one in (infer, inferencers[toolbox]))
    assert np.array_equal(found, expected)


def test_config_without_a_test_set_is_refused():
    with pytest.raises(ValueError, match=r'test_dataloader\.dataset of the config has no pipeline'):
        unwrap_test_set(Config(dict(test_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(type='X'))))))


def test_loading_steps_named_as_classes_are_understood():
    steps = [dict(type=LoadImageFromFile), dict(type='mmseg.datasets.LoadAnnotations'), dict(type='mmseg.Resize')]
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=steps))))
    unwrap_test_set(cfg)
    types = [step['type'] for step in cfg.test_dataloader.dataset.pipeline]
    assert types == ['LoadImageFromFile', 'LoadAnnotations', 'mmseg.Resize']
    assert reads_files(cfg.test_dataloader.dataset.pipeline)


@pytest.mark.parametrize('toolbox', CONFIGS)
@pytest.mark.slow
def test_an_inferencer_is_made_without_a_warning(toolbox: str, models, monkeypatch, recwarn):
    logged = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda message, *_, **__: logged.append(str(message)))
    monkeypatch.setattr(FUNCTIONS, '_children', {})
    Inferencer(*models[toolbox], device='cpu')
    assert not [text for text in logged if 'Failed' in text]
    assert not [warning for warning in recwarn if 'save_dir' in str(warning.message)]
