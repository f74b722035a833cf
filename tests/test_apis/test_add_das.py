"""Any config becomes three configs of DAS: loaded, or as files that inherit from it."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope

from mmdas.apis import (
    METHODS,
    SELECTIONS,
    ConversionError,
    DASOptions,
    adapt_to_device,
    add_das,
    convert,
    das_configs,
    find_config,
    load_config,
    preprocessor_of,
    read_config,
    short_search,
)
from mmdas.apis.das_config import own_run
from mmdas.engine.runner.search_loop import policy_part
from mmdas.registry import TASK_UTILS
from mmdas.search.das import Policy

HOSTS = {
    'two heads': 'mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py',
    'a cascade of heads': 'mmseg::ocrnet/ocrnet_hr18_4xb2-80k_cityscapes-512x1024.py',
    'a list of auxiliary heads': 'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'preprocessor at the top': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'batch augmentation': 'mmpretrain::resnet/resnet50_8xb32-mixup_in1k.py',
    'layer-wise rates': 'mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py',
}
each_host = pytest.mark.parametrize('host', HOSTS.values(), ids=HOSTS)


def plain(value):
    """Data without the scope that MMEngine marks inherited parts with."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != '_scope_'}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def heads_of(model: dict) -> list[dict]:
    """All heads of a model, wrapped ones unwrapped."""
    found = []
    for place in ('decode_head', 'auxiliary_head', 'head'):
        heads = model.get(place)
        for head in heads if isinstance(heads, list) else [heads] * (heads is not None):
            inner = head['head'] if str(head['type']).startswith('mmdas.') else head
            found.append(inner[head['index']] if isinstance(inner, list) else inner)
    return found


@each_host
@pytest.mark.slow
def test_everything_but_the_wrappers_is_the_hosts(host: str, tmp_path: Path):
    original = plain(load_config(find_config(host)[0]).to_dict())
    repeat, _, das = (plain(load_config(path).to_dict()) for path in add_das(host, tmp_path))
    for made in (repeat, das):
        assert made['model']['backbone']['backbone'] == original['model']['backbone']
        assert heads_of(made['model']) == heads_of(original['model'])
        own = {'model', 'data_preprocessor', 'num_frames', 'work_dir'}
        assert {key: made[key] for key in made.keys() - own} == {key: original[key] for key in original.keys() - own}


@each_host
@pytest.mark.slow
def test_preprocessor_keeps_the_hosts_settings(host: str, tmp_path: Path):
    original, made = load_config(find_config(host)[0]), load_config(add_das(host, tmp_path)[0])
    before, after = map(preprocessor_of, (original, made))
    assert str(after.type).startswith('mmdas.DAS')
    assert after.num_frames == 4
    assert {key: after[key] for key in before if key != 'type'} == {key: before[key] for key in before if key != 'type'}


@each_host
@pytest.mark.slow
def test_loaded_conversion_equals_loading_what_add_das_writes(host: str, tmp_path: Path):
    cfg = read_config(find_config(host)[0])
    before = cfg.to_dict()
    chosen = DASOptions(8, 'tsm', 'mine.json', 'max', 'perturbation', ('a.conv',))
    for options in (DASOptions(), chosen, DASOptions(fusion='tsm', fast=True)):
        for method, path in zip(METHODS, write(host, tmp_path, options), strict=True):
            made = convert(cfg, method, options)
            assert plain(made.to_dict()) == plain(read_config(path).to_dict())
            assert made.filename == path.name
    assert cfg.to_dict() == before


def write(host: str, folder: Path, options: DASOptions) -> list[Path]:
    """The texts of a host's configs in a folder, without the checks of ``add_das``."""
    path, reference = find_config(host)
    texts = das_configs(read_config(path), path.stem, reference or path.as_posix(), options)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


@pytest.mark.parametrize('scope', [True, False])
def test_loaded_conversion_of_a_host_of_pure_python_equals_that_by_files(scope: bool, tmp_path: Path):
    host = write_pure_python(tmp_path, scope=scope)
    for method, path in zip(METHODS, add_das(host, tmp_path / 'das'), strict=True):
        assert plain(convert(read_config(host), method).to_dict()) == plain(read_config(path).to_dict())


def test_method_that_is_none_is_refused():
    with pytest.raises(ValueError, match="one of .*'search'.* got 'serch'"):
        convert(Config(), 'serch')


def test_edited_file_is_written_over_by_force_alone(tmp_path: Path):
    path = add_das('resnet18_8xb16_cifar10', tmp_path)[2]
    text = path.read_text()
    path.write_text(f'{text}randomness = dict(seed=1)\n')
    with pytest.raises(FileExistsError, match=f'{path.name} would be written over, but says something else; --force'):
        add_das('resnet18_8xb16_cifar10', tmp_path)
    assert path.read_text() != text
    add_das('resnet18_8xb16_cifar10', tmp_path, force=True)
    assert path.read_text() == text


def test_files_that_say_the_same_are_no_obstacle(tmp_path: Path):
    assert add_das('resnet18_8xb16_cifar10', tmp_path) == add_das('resnet18_8xb16_cifar10', tmp_path)


def search_of(unit: str, length: int, rate: float = 3e-4) -> Config:
    """A search of so many iterations or epochs, a quarter of them without steps of the policy."""
    loop = {
        'type': f'mmdas.{unit}BasedSearchLoop',
        f'max_{unit.lower()}s': length,
        f'warmup_{unit.lower()}s': length // 4,
    }
    return Config(dict(train_cfg=loop, optim_wrapper=dict(policy=dict(optimizer=dict(lr=rate)))))


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            search_of('Iter', 60, 0.01),
            '45 steps of the policy at a rate of 0.01, .* at most 0.45',
        ),
        (search_of('Iter', 100, 0.01), None),
        (search_of('Iter', 2000), 'at most 0.45'),
        (search_of('Iter', 8000), None),
        (search_of('Epoch', 4), 'steps in 3 epochs alone'),
        (search_of('Epoch', 5), None),
        (Config(dict(train_cfg=dict(max_iters=1))), None),
    ],
)
def test_search_that_cannot_move_its_mixtures_is_told(cfg: Config, message: str | None):
    assert re.search(message, short_search(cfg)) if message else short_search(cfg) is None


def test_a_change_of_the_host_reaches_the_new_configs(tmp_path: Path):
    text = "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\ntrain_cfg = dict(max_epochs={})\n"
    (tmp_path / 'mine.py').write_text(text.format(40))
    repeat, search, _ = add_das(tmp_path / 'mine.py', tmp_path / 'das')
    assert load_config(search).train_cfg.max_epochs == 4
    (tmp_path / 'mine.py').write_text(text.format(50))
    assert load_config(repeat).train_cfg.max_epochs == 50


def test_configs_move_together_with_their_host(tmp_path: Path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'mine.py').write_text("_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\n")
    add_das(tmp_path / 'a' / 'mine.py', tmp_path / 'a' / 'das')
    (tmp_path / 'a').rename(tmp_path / 'b')
    assert load_config(tmp_path / 'b/das/repeat-4f-gsf_mine.py').num_frames == 4


@pytest.mark.parametrize('fusion', ['tsm', 'gsm', 'gsf', 'none'])
def test_frames_fusion_policy_and_pooling_are_those_asked_for(fusion: str, tmp_path: Path):
    options = DASOptions(frames=8, fusion=fusion, policy='mine.json', pooling='reference')
    paths = add_das('resnet18_8xb16_cifar10', tmp_path, options)
    assert [path.name for path in paths] == [
        f'{name}.py'
        for name in (
            f'repeat-8f-{fusion}-pool-reference_resnet18_8xb16_cifar10',
            f'search-8f-{fusion}-pool-reference_resnet18_8xb16_cifar10',
            f'das-8f-{fusion}-pool-reference_resnet18_8xb16_cifar10_mine',
        )
    ]
    cfg = load_config(paths[2])
    kind = {'tsm': 'TemporalShift', 'gsm': 'GateShift', 'gsf': 'GateShiftFuse'}.get(fusion)
    assert (cfg.model.backbone.fusion or {}).get('type') == (kind and f'mmdas.{kind}')
    assert (cfg.data_preprocessor.num_frames, cfg.model.backbone.num_frames, cfg.model.head.num_frames) == (8, 8, 8)
    assert cfg.data_preprocessor.policy == 'mine.json'
    assert cfg.model.head.pooling == 'reference'


@pytest.mark.slow
def test_runs_of_different_choices_have_work_directories_of_their_own():
    choices = [
        {},
        dict(frames=2),
        dict(fusion='tsm'),
        dict(fusion='aligned-gsf'),
        dict(pooling='aligned'),
        dict(pooling='max'),
        dict(any_frames=True),
        dict(sites=('layer1.0.conv1',)),
        dict(sites=('layer1.0.conv1', 'layer1.1.conv1')),
        dict(part_after=1),
        dict(part_after='layer1'),
    ]
    cfg = load_config('fcn_r50-d8_4xb2-40k_cityscapes-512x1024')
    for method in METHODS:
        assert len({convert(cfg, method, DASOptions(**choice)).filename for choice in choices}) == len(choices)
    for choice in [*choices, dict(selection='perturbation')]:
        searched = Path(convert(cfg, 'search', DASOptions(**choice)).filename).stem
        das = convert(cfg, 'das', DASOptions(**choice))
        assert preprocessor_of(das).policy == f'work_dirs/{searched}/policy.json'


@pytest.mark.parametrize('config', ['fcn_r50-d8_4xb2-40k_cityscapes-512x1024', 'resnet18_8xb16_cifar10'])
@pytest.mark.parametrize('selection', SELECTIONS)
@pytest.mark.slow
def test_search_has_the_selection_asked_for(config: str, selection: str, tmp_path: Path):
    path = add_das(config, tmp_path, DASOptions(selection=selection))[1]
    built = TASK_UTILS.build(load_config(path).train_cfg.selection)
    assert type(built).__name__ == SELECTIONS[selection].removeprefix('mmdas.')
    assert bool(built.num_batches) == (selection == 'perturbation')


@pytest.mark.slow
def test_all_heads_get_the_pooling(tmp_path: Path):
    path = add_das('ocrnet_hr18_4xb2-40k_cityscapes-512x1024', tmp_path, DASOptions(pooling='max'))[0]
    assert [head.pooling for head in load_config(path).model.decode_head] == ['max', 'max']


def test_train_config_names_what_the_search_leaves(tmp_path: Path):
    _, search, das = add_das('resnet18_8xb16_cifar10', tmp_path)
    assert load_config(das).data_preprocessor.policy == f'{load_config(search).work_dir}/policy.json'


RUNS = {  # what a host says of its run -> the weights that the new configs start from
    'a work dir': ("work_dir = 'work_dirs/mine'", None),
    'what a run has dumped': ("work_dir, load_from, resume, launcher = 'runs', None, False, 'none'", None),
    'a resumed run': ("work_dir, load_from, resume = 'runs', 'runs/epoch_3.pth', True", None),
    'a test': ("work_dir, load_from, resume = './runs', 'runs/epoch_3.pth', False", None),
    'weights from elsewhere': ("work_dir, load_from, resume = 'runs', 'pretrained.pth', False", 'pretrained.pth'),
    'weights of the web': ("work_dir, load_from, resume = 'runs', 'https://x.y/z.pth', False", 'https://x.y/z.pth'),
    'a named experiment': ("work_dir, experiment_name = 'runs', 'mine'", None),
}


@pytest.mark.parametrize('run', RUNS)
def test_no_run_of_the_host_reaches_into_those_of_the_new_configs(run: str):
    text, load_from = RUNS[run]
    cfg = Config.fromstring(text, '.py')
    made = Config({**cfg.to_dict(), **own_run(cfg, 'das_x y.v2', first=True)})
    assert made.work_dir == 'work_dirs/das_x y.v2'
    assert (made.get('load_from'), made.get('resume', False)) == (load_from, False)
    assert made.get('experiment_name') == ('das_x y.v2' if 'experiment_name' in cfg else None)


def test_host_without_a_run_adds_nothing():
    assert own_run(Config(dict(load_from='x.pth')), 'das') == {}


@pytest.mark.slow
def test_new_configs_have_work_dirs_of_their_own_where_the_host_names_one(tmp_path: Path):
    (tmp_path / 'my net v1.2.py').write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\nwork_dir = 'work_dirs/mine'\n"
    )
    paths = add_das(tmp_path / 'my net v1.2.py', tmp_path)
    cfgs = [load_config(path) for path in paths]
    assert [cfg.work_dir for cfg in cfgs] == [f'work_dirs/{path.stem}' for path in paths]
    assert cfgs[2].data_preprocessor.policy == f'{cfgs[1].work_dir}/policy.json'


@pytest.mark.parametrize(
    'base',
    [
        'mmdas::imagenet/das-4f-gsf_resnet50_8xb32_in1k.py',
        'mmdas::cityscapes/das-4f-gsf_pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py',
    ],
)
@pytest.mark.slow
def test_another_package_inherits_from_our_installed_configs(base: str, tmp_path: Path):
    """By ``mmdas::``; types without a prefix, as those of the pipelines, then belong to the host's toolbox."""
    Policy.random(4).save(tmp_path / 'policy.json')
    (tmp_path / 'mine.py').write_text(f'_base_ = [{base!r}]\n')
    cfg = load_config(tmp_path / 'mine.py')
    preprocessor_of(cfg).policy = str(tmp_path / 'policy.json')
    adapt_to_device(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
        transforms = [TRANSFORMS.build(dict(step)) for step in cfg.train_dataloader.dataset.pipeline]
    assert model.data_preprocessor.policy.num_frames == 4
    assert len(transforms) == len(cfg.train_dataloader.dataset.pipeline)


def test_search_of_an_iteration_based_host_counts_in_iterations(tmp_path: Path):
    cfg = load_config(add_das(HOSTS['two heads'], tmp_path)[1])
    assert (cfg.train_cfg.type, cfg.train_cfg.max_iters) == ('mmdas.IterBasedSearchLoop', 8000)
    assert cfg.param_scheduler.weights[0].end == 8000


def test_search_does_not_accumulate_gradients(tmp_path: Path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\noptim_wrapper = dict(accumulative_counts=4)\n"
    )
    _, search, das = add_das(tmp_path / 'mine.py', tmp_path / 'das')
    assert plain(load_config(search).optim_wrapper.weights.to_dict()).keys() == {'optimizer'}
    assert load_config(das).optim_wrapper.accumulative_counts == 4


@pytest.mark.parametrize('schedule', ['', 'param_scheduler = []\n', 'param_scheduler = None\n'])
def test_search_has_its_own_schedule_whatever_the_host_has(schedule: str, tmp_path: Path):
    cfg = load_config(find_config('resnet18_8xb16_cifar10')[0])
    cfg.pop('param_scheduler')
    cfg.dump(tmp_path / 'mine.py')
    with (tmp_path / 'mine.py').open('a') as stream:
        stream.write(schedule)
    scheduler = load_config(add_das(tmp_path / 'mine.py', tmp_path / 'das')[1]).param_scheduler
    assert scheduler.keys() == {'weights', 'policy'}


DATA = "dict(type='CustomDataset', data_root='absent', pipeline=[])"
WRAPPERS = {
    'mosaic': f"dict(_delete_=True, type='mmseg.MultiImageMixDataset', dataset={DATA}, pipeline=[])",
    'list': f"dict(_delete_=True, type='ConcatDataset', datasets=[{DATA}, {DATA}])",
    'nested': f"dict(_delete_=True, type='RepeatDataset', dataset=dict(type='KFoldDataset', dataset={DATA}), times=2)",
}


def with_dataset(folder: Path, dataset: str) -> Path:
    path = folder / 'mine.py'
    path.write_text(
        f"_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\ntrain_dataloader = dict(dataset={dataset})\n"
    )
    return path


@pytest.mark.parametrize('wrapper', WRAPPERS.values(), ids=WRAPPERS)
def test_holdout_of_a_wrapped_training_set_is_reached_by_the_search(wrapper: str, tmp_path: Path):
    loader = load_config(add_das(with_dataset(tmp_path, wrapper), tmp_path / 'das')[1]).train_dataloader
    assert loader.dataset.part == 'weights'
    assert plain(loader.dataset.dataset.to_dict()) == plain(
        load_config(tmp_path / 'mine.py').train_dataloader.dataset.to_dict()
    )
    assert policy_part(loader)['dataset']['part'] == 'policy'


@pytest.mark.parametrize(
    ('dataset', 'reason'),
    [
        ("dict(_delete_=True, type='MultiTaskDataset', ann_file='x')", 'dataset.type is MultiTaskDataset'),
        ("dict(_delete_=True, type='Absent')", "dataset.type is 'Absent', which is not registered"),
        (f'[{DATA}, {DATA}]', 'train_dataloader.dataset must be the config of a data set'),
    ],
)
def test_training_set_that_cannot_be_split_is_refused_and_nothing_written(dataset: str, reason: str, tmp_path: Path):
    with pytest.raises(ConversionError, match=reason):
        add_das(with_dataset(tmp_path, dataset), tmp_path / 'das')
    assert not (tmp_path / 'das').exists()


@pytest.mark.parametrize(
    ('setting', 'reason'),
    [
        ("runner_type = 'FlexibleRunner'", 'runner_type is FlexibleRunner'),
        ('optim_wrapper = dict(_delete_=True, generator=dict(), critic=dict())', 'optim_wrapper has no optimizer'),
        ('policy_optimizer = dict(lr=1)', 'Duplicate key'),
    ],
)
def test_host_whose_search_could_not_start_is_refused(setting: str, reason: str, tmp_path: Path):
    (tmp_path / 'mine.py').write_text(f"_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\n{setting}\n")
    with pytest.raises(ConversionError, match=reason):
        add_das(tmp_path / 'mine.py', tmp_path / 'das')
    assert not (tmp_path / 'das').exists()


PURE_PYTHON = """
from mmengine.dataset import DefaultSampler
from mmengine.optim import AmpOptimWrapper
from mmpretrain.datasets import CIFAR10, PackInputs
from mmpretrain.models import ClsDataPreprocessor, GlobalAveragePooling, ImageClassifier, LinearClsHead, ResNet_CIFAR
from torch.optim import SGD
{read_base}
model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(type=ClsDataPreprocessor, mean=[120.0] * 3, std=[60.0] * 3),
    backbone=dict(type=ResNet_CIFAR, depth=18, base_channels=8, stem_channels=8),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=10, in_channels=64),
)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(type=CIFAR10, data_root='absent', pipeline=[dict(type=PackInputs)]),
)
train_cfg = dict(by_epoch=True, max_epochs={epochs})
optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=SGD, lr=0.1))
"""
READ_BASE = 'from mmengine.config import read_base\nwith read_base():\n    from .base import *\n'


def write_pure_python(folder: Path, epochs: int = 40, scope: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / 'base.py').write_text("default_scope = 'mmpretrain'\n" * scope + 'find_unused_parameters = False\n')
    (folder / 'mine.py').write_text(PURE_PYTHON.format(read_base=READ_BASE, epochs=epochs))
    return folder / 'mine.py'


@pytest.mark.parametrize('scope', [True, False])
def test_host_of_pure_python_becomes_text_configs_whose_models_build(scope: bool, tmp_path: Path):
    paths = add_das(write_pure_python(tmp_path, scope=scope), tmp_path / 'das')
    repeat, search, _ = map(load_config, paths)
    assert search.optim_wrapper.policy.type == 'AmpOptimWrapper'
    assert policy_part(search.train_dataloader)['dataset']['part'] == 'policy'
    assert repeat.default_scope == 'mmpretrain'
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for cfg in (repeat, search):
            assert type(MODELS.build(cfg.model)).__name__ == 'ImageClassifier'


def test_a_change_of_a_pure_python_host_reaches_configs_that_moved_with_it(tmp_path: Path):
    paths = add_das(write_pure_python(tmp_path / 'a'), tmp_path / 'a' / 'das')
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(
        [*(path.name for path in paths), 'text_mine.py']
    )
    (tmp_path / 'a').rename(tmp_path / 'b')
    write_pure_python(tmp_path / 'b', epochs=50)
    assert load_config(tmp_path / 'b/das' / paths[0].name).train_cfg.max_epochs == 50


REFUSED = {
    'mmpretrain::densenet/densenet121_4xb256_in1k.py': 'DenseNet has no residual block',
    'mmpretrain::simclr/simclr_resnet50_16xb256-coslr-200e_in1k.py': 'model.type is SimCLR, no ImageClassifier',
}


@pytest.mark.parametrize(('host', 'reason'), REFUSED.items())
def test_what_cannot_become_das_is_refused_with_the_reason_and_nothing_written(host: str, reason: str, tmp_path: Path):
    with pytest.raises(ConversionError, match=reason):
        add_das(host, tmp_path / 'das')
    assert not (tmp_path / 'das').exists()


@pytest.mark.parametrize(
    'options', [DASOptions(frames=2, fusion='none'), DASOptions(frames=2, sites=('features.2.conv', 'features.4.conv'))]
)
@pytest.mark.slow
def test_backbone_without_residual_blocks_goes_without_fusion_or_at_named_convolutions(options, tmp_path: Path):
    cfg = load_config(add_das('vgg11_8xb32_in1k', tmp_path, options)[0])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(cfg.model.backbone)
    assert list(backbone.fusion) == [site.replace('.', '_') for site in options.sites]


@pytest.mark.slow
def test_u_net_becomes_das(tmp_path: Path):
    cfg = load_config(add_das('unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024', tmp_path, DASOptions(frames=2))[0])
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert len(MODELS.build(cfg.model.backbone).fusion) == 9


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(frames=1), 'frames must be at least 2'),
        (dict(fusion='x'), 'fusion.*x'),
        (dict(pooling='x'), 'pooling.*x'),
        (dict(selection='x'), 'selection.*x'),
        (dict(fusion='none', sites=('a.conv',)), 'a.conv are where frames are fused'),
    ],
)
def test_bad_options_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DASOptions(**options)


def test_installed_config_is_found_with_and_without_its_toolbox_and_ending():
    names = ('resnet50_8xb32_in1k', 'resnet/resnet50_8xb32_in1k.py', 'mmpretrain::resnet/resnet50_8xb32_in1k.py')
    found = {find_config(name) for name in names}
    assert len(found) == 1
    assert found.pop()[1] == names[2]


def test_installed_config_of_this_package_is_found_by_its_name():
    path, reference = find_config('fcn_r18-d4_digits-48x48')
    assert reference == 'mmdas::digit_scenes/fcn_r18-d4_digits-48x48.py'
    assert path.is_file()


def test_name_of_several_installed_configs_is_refused_with_all_of_them():
    with pytest.raises(FileNotFoundError, match='more than one .*mmseg::_base_/default_runtime.py, mmpretrain::_base_'):
        find_config('default_runtime')


@pytest.mark.parametrize('name', ['absent', 'mmdet::faster_rcnn', 'mmseg::absent.py'])
def test_unknown_name_is_refused_with_the_ways_to_say_it(name: str):
    with pytest.raises(FileNotFoundError, match=f'no file {name} and no installed config .* PACKAGE::FOLDER/NAME.py'):
        find_config(name)


def test_policy_of_a_host_in_mixed_precision_is_in_mixed_precision_too(tmp_path: Path):
    wrapper = load_config(add_das(HOSTS['layer-wise rates'], tmp_path)[1]).optim_wrapper
    assert (wrapper.weights.type, wrapper.policy.type) == ('AmpOptimWrapper', 'AmpOptimWrapper')
    assert wrapper.policy.optimizer.type == 'Adam'


@pytest.mark.parametrize(('iterations', 'rate'), [(10_000, 1e-2), (80_000, 3e-4)])
@pytest.mark.slow
def test_short_search_takes_larger_steps_of_the_policy(iterations: int, rate: float, tmp_path: Path):
    (tmp_path / 'mine.py').write_text(f"_base_ = ['{HOSTS['two heads']}']\ntrain_cfg = dict(max_iters={iterations})\n")
    search = load_config(add_das(tmp_path / 'mine.py', tmp_path / 'das')[1])
    assert search.optim_wrapper.policy.optimizer.lr == rate
