import importlib.util
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]


@pytest.fixture
def tool():
    """The module tools/test.py."""
    spec = importlib.util.spec_from_file_location('test_tool', ROOT / 'tools/test.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_tta_wraps_the_model_and_replaces_the_pipeline_of_a_wrapped_data_set(tool):
    cfg = make_config('mmseg', tta_model=dict(type='SegTTAModel'), tta_pipeline=[dict(type='TestTimeAug')])
    tool.enable_tta(cfg)
    assert cfg.model.to_dict() == dict(type='SegTTAModel', module=dict(type='Net'))
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
