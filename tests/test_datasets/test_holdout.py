from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.datasets import KFoldDataset
from mmseg.datasets import MultiImageMixDataset

from mmdas.datasets import HoldoutDataset, check_holdout, holdout_indices


@TRANSFORMS.register_module()
class AddOthers:
    """Stands for a mosaic: the numbers of all images that were mixed."""

    def get_indices(self, dataset) -> list[int]:
        return list(range(len(dataset)))

    def __call__(self, results: dict) -> dict:
        return {**results, 'mixed': [other['number'] for other in results['mix_results']]}


@DATASETS.register_module()
class Numbers(BaseDataset):
    METAINFO = {'classes': ('even', 'odd')}

    def __init__(self, count: int, **kwargs) -> None:
        self.count = count
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        return [{'number': number} for number in range(self.count)]

    def get_cat_ids(self, idx: int) -> list[int]:
        return [self.get_data_info(idx)['number'] % 2]


def numbers_of(dataset: HoldoutDataset) -> list[int]:
    return [dataset[index]['number'] for index in range(len(dataset))]


def write_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))


def loaded_paths(scope: str, dataset: dict, part: str) -> list[str]:
    """Paths of the images that a loader of the runner serves for this part, under the default scope of a config."""
    loader = {
        'batch_size': 2,
        'num_workers': 0,
        'sampler': {'type': 'DefaultSampler', 'shuffle': True},
        'dataset': {'type': 'mmdas.HoldoutDataset', 'part': part, 'dataset': dataset},
    }
    with DefaultScope.overwrite_default_scope(scope):
        batches = list(Runner.build_dataloader(loader, seed=0))
    return [sample.img_path for batch in batches for sample in batch['data_samples']]


@pytest.mark.parametrize('ratio', [0.1, 0.5, 0.8])
@pytest.mark.parametrize('size', [10, 101])
def test_parts_are_disjoint_and_together_the_whole(size, ratio):
    parts = holdout_indices(size, ratio, seed=3)
    assert sorted(parts['weights'] + parts['policy']) == list(range(size))
    assert len(parts['policy']) == round(ratio * size)


def test_the_split_is_the_same_in_every_process_and_release():
    assert holdout_indices(6, 0.5, seed=0) == {'weights': [3, 0, 4], 'policy': [5, 2, 1]}


def test_the_split_leaves_the_global_random_state_alone():
    np.random.seed(7)
    expected = np.random.rand()
    np.random.seed(7)
    holdout_indices(10, 0.5, seed=0)
    assert np.random.rand() == expected


def test_another_seed_gives_another_split():
    assert holdout_indices(100, 0.5, seed=0) != holdout_indices(100, 0.5, seed=1)


@pytest.mark.parametrize('serialize', [True, False])
@pytest.mark.slow
def test_both_parts_serve_the_samples_of_the_whole_once(serialize):
    parts = [HoldoutDataset(Numbers(9, serialize_data=serialize), part, ratio=0.3) for part in ('weights', 'policy')]
    assert [len(part) for part in parts] == [6, 3]
    assert sorted(numbers_of(parts[0]) + numbers_of(parts[1])) == list(range(9))


def test_a_sample_and_its_annotation_and_categories_are_those_of_its_index():
    part = HoldoutDataset(Numbers(9), 'policy')
    for position, index in enumerate(holdout_indices(9, 0.5, seed=0)['policy']):
        assert part[position]['number'] == part.get_data_info(position)['number'] == index
        assert part.get_cat_ids(position) == [index % 2]


@pytest.mark.slow
def test_meta_information_is_that_of_the_whole():
    assert HoldoutDataset(Numbers(4), 'weights').metainfo == Numbers(4).metainfo


def test_the_whole_data_set_keeps_its_samples():
    whole = Numbers(9)
    HoldoutDataset(whole, 'policy')
    assert len(whole) == 9


def test_a_lazy_data_set_is_loaded():
    assert len(HoldoutDataset(Numbers(4, lazy_init=True), 'policy')) == 2


def test_samples_drawn_instead_of_unreadable_ones_come_from_the_same_part():
    first_try = set()

    def refuse_once(sample: dict) -> dict | None:
        known = sample['number'] in first_try
        first_try.add(sample['number'])
        return sample if known else None

    part = HoldoutDataset(Numbers(40, pipeline=[refuse_once]), 'policy', ratio=0.2)
    assert set(numbers_of(part)) <= set(holdout_indices(40, 0.2, seed=0)['policy'])


@pytest.mark.slow
def test_runner_serves_both_parts_of_a_data_set_of_mmseg(tmp_path):
    write_images(tmp_path / 'images', 7)
    config = {
        'type': 'BaseSegDataset',
        'data_root': str(tmp_path),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'images'},
        'img_suffix': '.png',
        'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'PackSegInputs'}],
    }
    paths = [loaded_paths('mmseg', config, part) for part in ('weights', 'policy')]
    assert sorted(paths[0] + paths[1]) == [f'{tmp_path}/images/{number}.png' for number in range(7)]


@pytest.mark.slow
def test_runner_serves_both_parts_of_a_data_set_of_mmpretrain(tmp_path):
    write_images(tmp_path / 'zero', 7)
    config = {
        'type': 'CustomDataset',
        'data_root': str(tmp_path),
        'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'PackInputs'}],
    }
    paths = [loaded_paths('mmpretrain', config, part) for part in ('weights', 'policy')]
    assert sorted(paths[0] + paths[1]) == [f'{tmp_path}/zero/{number}.png' for number in range(7)]


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"\('weights', 'policy'\), got 'val'"):
        HoldoutDataset(Numbers(4), 'val')


@pytest.mark.parametrize('ratio', [-0.5, 0, 1, 1.5])
@pytest.mark.slow
def test_a_ratio_that_is_no_fraction_is_refused(ratio):
    with pytest.raises(ValueError, match=rf'ratio must be in \(0, 1\), got {ratio}'):
        HoldoutDataset(Numbers(4), 'policy', ratio=ratio)


@pytest.mark.parametrize(
    ('count', 'ratio', 'weights', 'policy'), [(0, 0.5, 0, 0), (1, 0.4, 1, 0), (5, 0.05, 5, 0), (5, 0.99, 0, 5)]
)
def test_an_empty_part_is_refused_with_the_sizes(count, ratio, weights, policy):
    message = f'{count} samples with ratio {ratio} has {weights} in the weights part and {policy} in the policy part'
    with pytest.raises(ValueError, match=message):
        HoldoutDataset(Numbers(count, serialize_data=False), 'weights', ratio=ratio)


def mosaic_config() -> dict:
    return dict(
        type='mmseg.MultiImageMixDataset',
        dataset=dict(type='mmengine.Numbers', count=10, serialize_data=False),
        pipeline=[],
    )


def mosaic(dataset: dict) -> MultiImageMixDataset:
    return MultiImageMixDataset(dataset, [dict(type='mmengine.AddOthers')])


WRAPPED = {
    'mosaic': lambda: mosaic(dict(type='mmengine.Numbers', count=10, serialize_data=False)),
    'mosaic of joined': lambda: mosaic(
        dict(type='ConcatDataset', datasets=[Numbers(10, serialize_data=False), Numbers(10, serialize_data=False)])
    ),
    'repeated mosaic': lambda: RepeatDataset(mosaic_config(), times=2),
    'repeated': lambda: RepeatDataset(Numbers(10), times=3),
    'joined': lambda: ConcatDataset([Numbers(10), Numbers(10)]),
    'balanced': lambda: ClassBalancedDataset(Numbers(10), oversample_thr=1.0),
    'joined and repeated': lambda: RepeatDataset(
        {'type': 'ConcatDataset', 'datasets': [Numbers(10), Numbers(10)]}, times=2
    ),
}


@pytest.mark.parametrize('wrapped', WRAPPED.values(), ids=WRAPPED)
@pytest.mark.slow
def test_no_copy_of_a_sample_falls_into_the_other_part(wrapped):
    weights, policy = (set(numbers_of(HoldoutDataset(wrapped(), part))) for part in ('weights', 'policy'))
    assert weights.isdisjoint(policy)
    assert weights | policy == set(range(10))


@pytest.mark.slow
def test_parts_of_a_wrapper_are_wrapped_in_the_same_way():
    parts = [HoldoutDataset(WRAPPED['joined and repeated'](), part) for part in ('weights', 'policy')]
    assert [type(part.dataset) for part in parts] == [RepeatDataset, RepeatDataset]
    assert sum(map(len, parts)) == len(WRAPPED['joined and repeated']())


def test_other_wrappers_are_refused():
    with pytest.raises(TypeError, match='got list; put other wrappers around HoldoutDataset'):
        HoldoutDataset([1, 2, 3], 'weights')


def test_mosaic_is_made_of_images_of_its_part():
    parts = [HoldoutDataset(WRAPPED['mosaic'](), part) for part in ('weights', 'policy')]
    assert [len(part) for part in parts] == [5, 5]
    for part in parts:
        assert sorted(part[0]['mixed']) == sorted(numbers_of(part))


def test_holdout_of_a_fold_divides_its_training_samples():
    fold = dict(dataset=dict(type='mmengine.Numbers', count=10, serialize_data=False), fold=1, num_splits=5)
    whole = KFoldDataset(**fold)
    parts = [HoldoutDataset(KFoldDataset(**fold), part) for part in ('weights', 'policy')]
    assert sorted(numbers_of(parts[0]) + numbers_of(parts[1])) == numbers_of(whole) == [0, 1, 4, 5, 6, 7, 8, 9]


NUMBERS = dict(type='mmengine.Numbers', count=4)
SPLITTABLE = {
    'plain': NUMBERS,
    'class': dict(type=Numbers, count=4),
    'full name': dict(type='mmengine.dataset.RepeatDataset', dataset=NUMBERS, times=2),
    'list': dict(type='ConcatDataset', datasets=[NUMBERS, dict(type='RepeatDataset', dataset=NUMBERS, times=2)]),
    'mosaic': mosaic_config(),
    'fold': dict(type='mmpretrain.KFoldDataset', dataset=NUMBERS),
    'balanced': dict(type='ClassBalancedDataset', dataset=NUMBERS, oversample_thr=0.1),
}


@pytest.mark.parametrize('dataset', SPLITTABLE.values(), ids=SPLITTABLE)
def test_types_alone_tell_what_can_be_split(dataset):
    check_holdout(dataset, 'train_dataloader.dataset')


@pytest.mark.parametrize(
    ('dataset', 'message'),
    [
        (
            dict(type='mmpretrain.MultiTaskDataset', ann_file='x'),
            r'^data.type is MultiTaskDataset: a search holds half',
        ),
        (
            dict(type='RepeatDataset', dataset=dict(type='mmpretrain.MultiTaskDataset')),
            r'^data\.dataset\.type is Multi',
        ),
        (dict(type='ConcatDataset', datasets=[NUMBERS, dict(type='Absent')]), r"^data\.datasets\.1\.type is 'Absent'"),
        ([NUMBERS, NUMBERS], r'^data must be the config of a data set, with its type, got a list of 2'),
        (None, r'^data must be the config of a data set, with its type, got None'),
        (
            dict(type='ClassBalancedDataset', dataset=dict(type='mmseg.ADE20KDataset')),
            r'^data\.type is ClassBalancedDataset, but data\.dataset has no get_cat_ids',
        ),
    ],
)
def test_what_cannot_be_split_is_named_with_its_place(dataset, message):
    with pytest.raises(TypeError, match=message):
        check_holdout(dataset, 'data')


def test_a_part_is_split_again_within_itself():
    """As by a search on the training part of a comparison."""
    config = {
        'type': 'mmdas.HoldoutDataset',
        'part': 'weights',
        'ratio': 0.2,
        'dataset': {'type': 'Numbers', 'count': 50},
    }
    check_holdout(config, 'train_dataloader.dataset')
    kept, left_out = (
        set(numbers_of(HoldoutDataset(config['dataset'], part, ratio=0.2))) for part in ('weights', 'policy')
    )
    inner = [set(numbers_of(HoldoutDataset(config, part))) for part in ('weights', 'policy')]
    assert inner[0] | inner[1] == kept
    assert not inner[0] & inner[1]
    assert not (inner[0] | inner[1]) & left_out
