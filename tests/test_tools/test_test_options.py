import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.models import SegTTAModel

from mmdas.apis import build_runner, load_config
from mmdas.commands import test
from mmdas.models import DASSegDataPreProcessor

ROOT = Path(__file__).parents[2]
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]


TINY = {
    'model.backbone.backbone.base_channels': 8,
    'model.backbone.backbone.stem_channels': 8,
    'model.decode_head.head.in_channels': 32,
    'model.decode_head.head.channels': 32,
}


def load_tool(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def tool():
    """The command ``mmdas test``."""
    return test


@pytest.fixture(scope='module')
def tta_runner(tool, tmp_path_factory) -> Runner:
    """Of a small DAS model for segmentation, with test-time augmentation on three made scenes."""
    folder = tmp_path_factory.mktemp('tta')
    scenes = load_tool('digit_scenes_tool', 'dataset_converters/digit_scenes.py')
    scenes.make_digit_scenes(folder / 'data', num_train=1, num_val=3)
    (config,) = (ROOT / 'configs' / 'digit_scenes').glob('repeat-4f-*.py')
    options = {**TINY, 'test_dataloader.dataset.data_root': str(folder / 'data')}
    cfg = load_config(config, str(folder / 'run'), options)
    tool.enable_tta(cfg)
    return build_runner(cfg)


def make_config(scope: str, **others) -> Config:
    wrapped = dict(type='Subset', dataset=dict(type='Inner', pipeline=PIPELINE))
    hooks = dict(visualization=dict(type='Hook'))
    return Config(
        dict(
            default_scope=scope,
            model=dict(type='Net'),
            test_dataloader=dict(dataset=wrapped),
            test_evaluator=dict(type='Metric'),
            default_hooks=hooks,
            visualizer=dict(type='Visualizer'),
            **others,
        )
    )


def test_views_that_exchange_left_and_right_classes_are_refused(tool):
    mirrored, whole = (
        [dict(type='TestTimeAug', transforms=[[dict(type='RandomFlip', prob=share) for share in shares]])]
        for shares in ((0.0, 1.0), (0.0,))
    )
    plain, swapping = dict(type='RandomFlip', prob=0.5), dict(type='mmseg.RandomFlip', swap_seg_labels=[(1, 2)])

    def enabled(step: dict, views: list) -> str:
        options = dict(train_dataloader=dict(dataset=dict(pipeline=[step])), tta_pipeline=views)
        cfg = make_config('mmseg', tta_model=dict(type='SegTTAModel'), **options)
        tool.enable_tta(cfg)
        return cfg.model.type

    with pytest.raises(ValueError, match=r'classes \[\(1, 2\)\] of swap_seg_labels'):
        enabled(swapping, mirrored)
    assert enabled(swapping, whole) == enabled(plain, mirrored) == 'mmdas.SegTTAModel'


@pytest.mark.parametrize(
    ('kind', 'used'),
    [
        ('SegTTAModel', 'mmdas.SegTTAModel'),
        ('mmseg.SegTTAModel', 'mmdas.SegTTAModel'),
        (SegTTAModel, 'mmdas.SegTTAModel'),
        ('mine.Own', 'mine.Own'),
    ],
)
def test_tta_wraps_the_model_and_replaces_the_pipeline_of_a_wrapped_data_set(tool, kind, used):
    cfg = make_config('mmseg', tta_model=dict(type=kind), tta_pipeline=[dict(type='TestTimeAug')])
    tool.enable_tta(cfg)
    assert cfg.model.to_dict() == dict(type=used, module=dict(type='Net'))
    assert cfg.test_dataloader.dataset.dataset.pipeline == [dict(type='TestTimeAug')]


def test_tta_of_a_classification_config_without_settings_averages_the_mirror_image(tool):
    cfg = make_config('mmpretrain')
    tool.enable_tta(cfg)
    assert cfg.model.type == 'mmpretrain.AverageClsScoreTTA'
    load, augment = cfg.test_dataloader.dataset.dataset.pipeline
    assert load == PIPELINE[0]
    assert [flip['prob'] for flip in augment['transforms'][0]] == [0.0, 1.0]
    assert augment['transforms'][1] == PIPELINE[1:]


def test_tta_of_a_segmentation_config_without_settings_is_an_error_that_names_them(tool):
    with pytest.raises(ValueError, match='tta_pipeline in the config'):
        tool.enable_tta(make_config('mmseg', tta_model=dict(type='SegTTAModel')))


def test_tta_keeps_the_data_preprocessor_of_the_model(tta_runner):
    preprocessor = tta_runner.model.module.data_preprocessor
    assert isinstance(preprocessor, DASSegDataPreProcessor)
    assert preprocessor.num_frames == 4
    assert tuple(preprocessor.size) == (48, 48)


@pytest.mark.slow
def test_tta_of_a_segmentation_model_gives_its_metric(tta_runner):
    assert 0 <= tta_runner.test()['mIoU'] <= 100


@pytest.mark.parametrize('own', [None, dict(type='Own')])
def test_data_preprocessor_of_the_model_counts_before_the_one_beside_it(tool, own):
    cfg = make_config('mmpretrain', data_preprocessor=dict(type='Beside'))
    cfg.model.data_preprocessor = own
    tool.enable_tta(cfg)
    assert cfg.data_preprocessor == (own or dict(type='Beside'))


@pytest.mark.parametrize(('scope', 'switch'), [('mmseg', 'draw'), ('mmpretrain', 'enable')])
def test_drawing_switches_on_the_hook_of_the_toolbox(tool, scope, switch):
    cfg = make_config(scope)
    tool.draw_predictions(cfg, show=False, folder='out', wait_time=1.0)
    hook = cfg.default_hooks.visualization
    assert hook[switch] is True
    assert 'out' in (hook.get('out_dir'), cfg.visualizer.get('save_dir'))


def test_drawing_without_a_hook_is_an_error(tool):
    with pytest.raises(ValueError, match='default_hooks.visualization'):
        tool.draw_predictions(Config(dict(model={})), show=True, folder=None, wait_time=1.0)


def test_predictions_go_to_a_pickle_file_beside_the_metric(tool):
    cfg = make_config('mmpretrain')
    tool.save_predictions(cfg, 'all.pkl')
    assert [evaluator['type'] for evaluator in cfg.test_evaluator] == ['Metric', 'DumpResults']


def test_label_images_go_to_a_folder_for_segmentation_only(tool):
    cfg = make_config('mmseg')
    tool.save_predictions(cfg, 'masks')
    assert cfg.test_evaluator.to_dict() == dict(type='Metric', output_dir='masks', keep_results=True)
    with pytest.raises(ValueError, match='masks'):
        tool.save_predictions(make_config('mmpretrain'), 'masks')
