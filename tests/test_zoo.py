"""Files of zoo/ are what its list says: their hashes, their sizes, and the figures of a test with them."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.registry import DefaultScope
from tool_scripts import load_script

from mmdas.apis import build_runner, load_config
from mmdas.search import load_policy
from mmdas.search.das import Policy, PolicyClip

ROOT = Path(__file__).parents[1]
MODELS = yaml.safe_load((ROOT / 'zoo' / 'metafile.yml').read_text())['Models']


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validation scenes of DigitScenes."""
    folder = tmp_path_factory.mktemp('digit_scenes')
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(folder, num_train=1)
    return folder


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_file_has_its_hash_and_holds_plain_data(model: dict):
    path = ROOT / model['Weights']
    assert path.stem.endswith(load_script('model_converters/publish.py').hash_of(path))
    content = torch.load(path, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert len(content['meta']['dataset_meta']['classes']) == 11
    assert (ROOT / model['Training Log']).is_file()
    assert model['Training Command'] in (ROOT / 'zoo' / 'README.md').read_text()


def test_policy_has_its_hash_and_is_that_of_the_checkpoint():
    (model,) = [model for model in MODELS if 'Policy' in model]
    path = ROOT / model['Policy']
    assert path.stem.endswith(load_script('model_converters/publish.py').hash_of(path))
    state = torch.load(ROOT / model['Weights'], weights_only=True)['state_dict']
    settings = json.loads(bytes(state['data_preprocessor._extra_state'].tolist()))
    policy = load_policy(path)
    assert policy.content() == Policy.from_dict(settings['policy']).content()
    assert PolicyClip(policy)(torch.rand(2, 3, 48, 48)).shape == (2, 12, 48, 48)
    assert (ROOT / model['Search Config']).is_file() and (ROOT / model['Search Log']).is_file()


def test_files_are_small():
    assert sum(path.stat().st_size for path in (ROOT / 'zoo').iterdir()) < 2 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_checkpoint_has_its_figure(model: dict, scenes: Path, tmp_path: Path):
    options = {'test_dataloader.dataset.data_root': str(scenes), 'test_dataloader.batch_size': 25}
    cfg = load_config(ROOT / model['Config'], str(tmp_path), options)
    cfg.load_from, cfg.log_level, cfg.visualizer = str(ROOT / model['Weights']), 'ERROR', None
    cfg.default_hooks.pop('visualization', None)
    with DefaultScope.overwrite_default_scope('mmengine'):
        found = build_runner(cfg).test()
    (expected,) = model['Results']
    assert found['mIoU'] == pytest.approx(expected['Metrics']['mIoU'], abs=0.02)


def test_published_file_is_the_weights_of_the_checkpoint(tmp_path: Path):
    weight = torch.randn(5, 3, dtype=torch.float32)
    state = {'conv.weight': weight, 'bn.num_batches_tracked': torch.tensor(7), 'view': weight[:1]}
    torch.save({'state_dict': state, 'optimizer': {'x': torch.rand(1000)}, 'meta': {'iter': 3}}, tmp_path / 'iter.pth')
    publish = load_script('model_converters/publish.py').publish
    for half in (False, True):
        path = publish(tmp_path / 'iter.pth', tmp_path / 'zoo', half)
        loaded = torch.load(path, weights_only=True)['state_dict']
        assert loaded.keys() == state.keys()
        assert loaded['bn.num_batches_tracked'] == 7
        assert loaded['conv.weight'].dtype == (torch.float16 if half else torch.float32)
        torch.testing.assert_close(loaded['conv.weight'].float(), weight, atol=2e-3 if half else 0, rtol=0)
        assert loaded['view'].untyped_storage().nbytes() == loaded['view'].nbytes
    with pytest.raises(ValueError, match='has no state_dict'):
        torch.save({'weights': {}}, tmp_path / 'other.pth')
        publish(tmp_path / 'other.pth', tmp_path / 'zoo')
