"""Files that are broken, or do not fit their sample, are named with the fault and the remedy."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS as SEG_TRANSFORMS
from PIL import Image
from tool_scripts import load_script
from torch.utils.data import DataLoader

from mmdas.engine import DataFilesHook
from mmdas.engine.data_error import DataError
from mmdas.engine.data_files import Survey, guard, guarded_pipeline
from mmdas.engine.hooks import data_files_hook

FAULTS = load_script('misc/fault_trial/data_faults.py')
SIDE, COUNT, VICTIM = 48, 4, 1
LOAD = (dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'))
PACK = dict(type='PackSegInputs')
OF_FILES = [fault for fault in FAULTS.IMAGE_FAULTS + FAULTS.LABEL_FAULTS if 'outside the classes' not in fault.name]
IDS = [fault.name for fault in OF_FILES]


@TRANSFORMS.register_module()
class LoadNumbers:
    """Loads what is no image."""

    def __call__(self, results: dict) -> dict:
        return {**results, 'numbers': Path(results['img_path']).read_text()}


@TRANSFORMS.register_module()
class Fail:
    """A transform with a fault of its own."""

    def __call__(self, results: dict) -> dict:
        raise KeyError('mine')


@SEG_TRANSFORMS.register_module()
class LoadDeepAnnotations(LoadAnnotations):
    """Reads labels of 16 bit as they are meant."""

    def _load_seg_map(self, results: dict) -> None:
        results['gt_seg_map'] = np.asarray(Image.open(results['seg_map_path'])).astype(np.int64) // 100
        results['seg_fields'].append('gt_seg_map')


def write_files(folder: Path) -> None:
    """Images and label images, in the folders of Pascal VOC."""
    numbers = np.random.RandomState(0)
    for part in ('JPEGImages', 'SegmentationClass'):
        (folder / part).mkdir()
    for number in range(COUNT):
        image = numbers.randint(0, 255, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(image).save(folder / 'JPEGImages' / f'{number}.jpg')
        label = numbers.randint(1, 11, (SIDE, SIDE), np.uint8)
        Image.fromarray(label).save(folder / 'SegmentationClass' / f'{number}.png')
    (folder / 'list.txt').write_text('\n'.join(map(str, range(COUNT))))


def build(folder: Path, pipeline: Sequence[dict] = (*LOAD, PACK), **options) -> BaseDataset:
    """The files as a data set of MMSegmentation."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        config = dict(
            type='BaseSegDataset',
            data_root=str(folder),
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='list.txt',
            pipeline=list(pipeline),
        )
        return DATASETS.build({**config, **options})


def guarded(folder: Path, *others, **options) -> BaseDataset:
    """A data set whose pipeline names the file at fault."""
    dataset = build(folder, *others, **options)
    assert guard(dataset) == [dataset]
    return dataset


def path_of(folder: Path, file: str) -> Path:
    return (
        folder
        / ('JPEGImages' if file == 'image' else 'SegmentationClass')
        / f'{VICTIM}.{"jp" if file == "image" else "pn"}g'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    told: list[str] = []
    for module in (guarded_pipeline, data_files_hook):
        monkeypatch.setattr(module, 'print_log', lambda text, *others: told.append(text))
    return told


@pytest.mark.parametrize('fault', OF_FILES, ids=IDS)
def test_a_fault_is_named_as_its_file_is_read(folder, warnings, fault):
    dataset, path = guarded(folder), path_of(folder, fault.file)
    fault.damage(path)
    text = ''
    try:
        dataset[VICTIM]
    except DataError as error:
        text = str(error)
    assert bool(text) == fault.ends
    assert str(path) in (text or warnings[0])
    assert fault.says in (text or warnings[0])
    assert '; ' in (text or warnings[0])  # the remedy


@pytest.mark.parametrize('fault', OF_FILES, ids=IDS)
def test_a_fault_is_found_before_its_file_is_needed(folder, warnings, fault):
    dataset, path = guarded(folder), path_of(folder, fault.file)
    fault.damage(path)
    found = Survey(dataset, num_headers=10, seconds=60).run().faults or warnings
    assert len(found) == 1
    assert str(path) in found[0]
    assert fault.says in found[0]


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.slow
def test_a_fault_in_a_worker_is_told_in_one_line(folder, workers):
    dataset = guarded(folder)
    path_of(folder, 'image').write_bytes(b'')
    with pytest.raises(DataError) as error:
        list(DataLoader(dataset, num_workers=workers, collate_fn=list))
    assert str(error.value).startswith(f'the image {path_of(folder, "image")} is empty (0 bytes); ')
    assert '\n' not in str(error.value)


@pytest.mark.slow
def test_files_without_a_fault_are_read_as_without_a_guard(folder, warnings):
    plain, dataset = build(folder), guarded(folder)
    survey = Survey(dataset, num_headers=2, seconds=60).run()
    assert (survey.faults, survey.checked, survey.headers, warnings) == ([], COUNT, 2, [])
    for one, other in ((plain[number], dataset[number]) for number in range(COUNT)):
        assert torch.equal(one['inputs'], other['inputs'])
        assert torch.equal(one['data_samples'].gt_sem_seg.data, other['data_samples'].gt_sem_seg.data)


def test_a_survey_leaves_out_headers_beyond_its_number_but_no_missing_file(folder):
    dataset = guarded(folder)
    path_of(folder, 'label').unlink()
    assert len(Survey(dataset, num_headers=0, seconds=60).run().faults) == 1
    path_of(folder, 'label').write_text('not an image')
    assert Survey(dataset, num_headers=0, seconds=60).run().faults == []


def test_a_survey_ends_in_time(folder):
    survey = Survey(guarded(folder), num_headers=10, seconds=0).run()
    assert survey.checked + survey.headers == 0


def test_a_survey_tells_of_files_that_nothing_loads_only_if_they_are_loaded(folder):
    path_of(folder, 'label').unlink()
    assert Survey(guarded(folder, [LOAD[0], PACK]), num_headers=10, seconds=60).run().faults == []


def test_files_of_another_kind_are_the_matter_of_their_transform(folder):
    for path in (folder / 'JPEGImages').iterdir():
        path.write_text('12')
    dataset = guarded(folder, [dict(type='mmengine.LoadNumbers')])
    assert Survey(dataset, num_headers=10, seconds=60).run().faults == []
    assert dataset[0]['numbers'] == '12'


def test_an_image_that_may_be_passed_over_is_passed_over(folder):
    path_of(folder, 'image').write_bytes(b'')
    dataset = guarded(folder, [dict(type='LoadImageFromFile', ignore_empty=True), LOAD[1], PACK])
    assert Survey(dataset, num_headers=10, seconds=60).run().faults == []
    assert dataset[VICTIM]['data_samples'].img_path != str(path_of(folder, 'image'))


def test_errors_of_other_transforms_stay_as_they_are(folder):
    with pytest.raises(KeyError, match='mine'):
        guarded(folder, [*LOAD, dict(type='mmengine.Fail')])[0]


def test_a_file_within_test_time_augmentation_is_named(folder):
    path_of(folder, 'label').write_bytes(b'')
    augmentation = dict(type='TestTimeAug', transforms=[[LOAD[1]], [PACK]])
    with pytest.raises(DataError, match=f'{path_of(folder, "label")} is empty'):
        guarded(folder, [LOAD[0], augmentation])[VICTIM]


@pytest.mark.slow
def test_labels_of_half_the_size_go_where_both_are_resized_to_one_size(folder):
    path = path_of(folder, 'label')
    Image.open(path).resize((SIDE // 2, SIDE // 2), Image.Resampling.NEAREST).save(path)
    resize = dict(type='Resize', scale=(32, 32))
    assert guarded(folder, [*LOAD, resize, PACK])[VICTIM]['data_samples'].gt_sem_seg.shape == (32, 32)
    with pytest.raises(DataError, match=f'{path} is of size 24 x 24, its image of 48 x 48'):
        guarded(folder, [*LOAD, dict(type='RandomFlip', prob=0.5), resize, PACK])[VICTIM]


def test_labels_of_16_bit_that_fit_8_bit_are_right(folder):
    path = path_of(folder, 'label')
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint16)).save(path)
    assert (guarded(folder)[VICTIM]['data_samples'].gt_sem_seg.data == 255).all()


def test_labels_of_16_bit_are_the_matter_of_a_transform_that_reads_them(folder):
    path = path_of(folder, 'label')
    Image.fromarray(np.full((SIDE, SIDE), 300, np.uint16)).save(path)
    sample = guarded(folder, [LOAD[0], dict(type='LoadDeepAnnotations'), PACK])[VICTIM]['data_samples']
    assert (sample.gt_sem_seg.data == 3).all()


@pytest.mark.parametrize('orientation', [3, 6])
def test_an_image_that_is_loaded_as_it_is_stored_has_no_fault_of_orientation(folder, warnings, orientation):
    FAULTS.change_image(orientation, keep=0.75)(path_of(folder, 'image'))
    load = dict(type='LoadImageFromFile', color_type='color_ignore_orientation')
    dataset = guarded(folder, [load, LOAD[1], PACK])
    assert dataset[VICTIM]['inputs'].shape == (3, 36, 48)
    assert Survey(dataset, num_headers=10, seconds=60).run().faults + warnings == []


def test_an_image_with_bytes_after_its_end_is_right(folder):
    path = path_of(folder, 'image')
    path.write_bytes(path.read_bytes() + bytes(10_000))
    dataset = guarded(folder)
    assert Survey(dataset, num_headers=10, seconds=60).run().faults == []
    assert dataset[VICTIM]['inputs'].shape == (3, SIDE, SIDE)


def test_a_file_without_its_end_that_a_transform_fills_up_is_named(folder, monkeypatch):
    path = path_of(folder, 'image')
    whole = np.asarray(Image.open(path))
    monkeypatch.setattr('mmcv.imfrombytes', lambda content, **options: whole.copy())  # as some versions of OpenCV do
    FAULTS.truncate(path)
    with pytest.raises(DataError, match=f'{path} is cut off or damaged'):
        guarded(folder, [LOAD[0], dict(type='PackSegInputs')])[VICTIM]


def test_files_are_looked_at_once(folder, monkeypatch):
    looked = []
    look_at = guarded_pipeline.look_at
    monkeypatch.setattr(guarded_pipeline, 'look_at', lambda path: looked.append(path) or look_at(path))
    dataset = guarded(folder)
    for _ in range(3):
        dataset[VICTIM]
    assert len(looked) == 2


def test_pipelines_are_guarded_once_and_within_wrappers(folder):
    dataset = build(folder)
    with DefaultScope.overwrite_default_scope('mmseg'):
        wrapped = DATASETS.build(dict(type='RepeatDataset', dataset=dataset, times=2))
    assert guard(wrapped) == guard(wrapped) == [dataset]
    assert isinstance(dataset.pipeline.transforms[1], LoadAnnotations)


def hook_on(**datasets) -> None:
    """The hook before a training with these data sets."""
    loaders = {f'{mode}_dataloader': SimpleNamespace(dataset=dataset) for mode, dataset in datasets.items()}
    policy = SimpleNamespace(policy_batches=SimpleNamespace(dataloader=loaders.pop('policy_dataloader', None)))
    DataFilesHook().before_train(SimpleNamespace(train_loop=policy, **loaders))


@pytest.mark.parametrize('mode', ['train', 'policy', 'val'])
@pytest.mark.slow
def test_a_training_begins_with_the_files_of_all_its_data(tmp_path, warnings, mode):
    datasets = {}
    for one in ('train', 'policy', 'val'):
        (tmp_path / one).mkdir()
        write_files(tmp_path / one)
        datasets[one] = build(tmp_path / one)
    hook_on(**datasets)
    assert [text.partition(' data:')[0] for text in warnings] == ['train', 'policy', 'val']
    assert 'the files of 4 of 4 samples are there' in warnings[0]
    path_of(tmp_path / mode, 'image').unlink()
    path_of(tmp_path / mode, 'label').with_name('2.png').unlink()
    with pytest.raises(DataError, match=rf'^{mode} data: the image .*1\.jpg is missing.* \(and 1 or more others'):
        hook_on(**datasets)


def test_a_survey_leaves_the_random_state_alone(folder, warnings):
    FAULTS.change_image(3)(path_of(folder, 'image'))  # read by the whole pipeline, since it is in doubt
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    hook_on(train=build(folder, [*LOAD, dict(type='PhotoMetricDistortion'), PACK]))
    assert len(warnings) == 2
    assert (torch.rand(1), np.random.rand()) == expected


def test_data_without_files_is_not_surveyed(warnings):
    hook_on(train=torch.utils.data.TensorDataset(torch.zeros(2)), val=[1, 2])
    assert warnings == []


@pytest.mark.parametrize('options', [dict(num_headers=-1), dict(seconds=-0.5)])
def test_negative_bounds_are_refused(options):
    with pytest.raises(ValueError, match='must be at least 0, got'):
        DataFilesHook(**options)
