"""Files of ``mmdas export`` give what their models give, for any number of images."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from deployed_models import CHAIN, COLOURED, SIZE, build_small, small
from mmengine.config import Config
from mmengine.runner import save_checkpoint
from torch.export import Dim

from mmdas.commands.main import main
from mmdas.deploy import DeployableNetwork, ExportedModel, ExportError, check_file, export_program, write_onnx
from mmdas.deploy.check import difference
from mmdas.deploy.description import describe
from mmdas.deploy.graph import PACKAGES
from mmdas.search.das import Policy, PolicyClip, PolicyEdge

NAMES = ('a', 'b', 'c', 'd')


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Config and checkpoint of a classifier whose policy has random operations."""
    folder = tmp_path_factory.mktemp('export')
    torch.manual_seed(0)
    steps = [dict(type='ResizeEdge', scale=40), dict(type='CenterCrop', crop_size=SIZE[::-1]), dict(type='PackInputs')]
    data = dict(type='CIFAR10', data_root='absent', test_mode=True, pipeline=steps)
    cfg = dict(default_scope='mmpretrain', model=small('cls', COLOURED), test_dataloader=dict(dataset=data))
    Config(cfg).dump(folder / 'config.py')
    model = build_small('cls', COLOURED)
    save_checkpoint(
        {'state_dict': model.state_dict(), 'meta': {'dataset_meta': {'classes': NAMES}}}, str(folder / 'best.pth')
    )
    return folder / 'config.py', folder / 'best.pth'


@pytest.fixture(scope='module')
def exported(trained: tuple[Path, Path]) -> Path:
    """The file that the command writes of it."""
    out = trained[0].parent / 'model.pt2'
    assert main(['export', *map(str, trained), '--out', str(out)]) == 0
    return out


@pytest.fixture(scope='module')
def file(exported: Path) -> ExportedModel:
    return ExportedModel(exported)


@pytest.mark.slow
def test_file_of_the_command_gives_what_the_model_gives(file: ExportedModel, trained: tuple[Path, Path]):
    model = build_small('cls', COLOURED)
    model.load_state_dict(torch.load(trained[1], weights_only=False)['state_dict'])
    network = DeployableNetwork(model, 'rgb')
    for count in (1, 5):
        images = np.random.default_rng(count).integers(0, 256, (count, 3, *SIZE))
        with torch.no_grad():
            expected = network(torch.from_numpy(images).float()).numpy()
        np.testing.assert_allclose(file(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_file_says_what_it_is(file: ExportedModel):
    told = file.description
    assert (told.task, told.output, told.input, told.size) == ('classification', 'logits', 'pixels', SIZE)
    assert (told.classes, told.num_frames, told.channel_order) == (NAMES, 2, 'rgb')
    assert told.policy['edges'] == json.loads(json.dumps(COLOURED['edges']))
    assert [step['type'] for step in told.pipeline] == ['ResizeEdge', 'CenterCrop', 'PackInputs']


@pytest.mark.slow
def test_file_refuses_images_of_another_size(file: ExportedModel):
    with pytest.raises(ExportError, match=r'images are 24 x 40, the graph takes 24 x 32'):
        file(np.zeros((1, 3, 24, 40)))


@pytest.mark.slow
def test_file_of_another_model_is_found_out(exported: Path):
    with pytest.raises(ExportError, match='differs from its model'):
        check_file(DeployableNetwork(build_small('cls', CHAIN), 'rgb'), exported, [SIZE])
    assert difference(np.array([[3.0, -8.0]]), np.array([[3.0, -6.0]])) == 0.25
    assert difference(np.array([1, 2, 3, 4]), np.array([1, 2, 4, 4])) == 0.25


def test_random_operations_have_one_size(trained: tuple[Path, Path], capsys: pytest.CaptureFixture):
    assert main(['export', *map(str, trained), '--out', 'model.pt2', '--dynamic-size']) == 2
    assert 'cutout, noise, whose random numbers are constants of one size' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('out', 'text'),
    [
        ('model.pb', 'must end with .onnx or .pt2'),
        ('absent/model.pt2', 'there is no folder absent'),
        ('model.onnx', "not installed: pip install 'mmdas[export]'"),
    ],
)
def test_command_says_what_is_wrong(out, text, trained, capsys: pytest.CaptureFixture, monkeypatch):
    found = importlib.import_module

    def without(name: str, *others):
        if name in PACKAGES:
            raise ImportError(name)
        return found(name, *others)

    monkeypatch.setattr(importlib, 'import_module', without)
    assert main(['export', *map(str, trained), '--out', out]) == 2
    assert text in capsys.readouterr().err


# What fuses the frames is the same for both tasks.
ONNX = {
    'plain cls': ('cls',),
    'plain seg': ('seg',),
    'TemporalShift cls': ('cls', CHAIN, 'TemporalShift'),
    'GateShift seg': ('seg', CHAIN, 'GateShift'),
    'GateShiftFuse seg': ('seg', CHAIN),
    'no fusion': ('seg', CHAIN, None),
    'equal frames': ('cls', 'repeat'),
}


def write(case: tuple, path: Path, dynamic: bool, **head) -> DeployableNetwork:
    network = DeployableNetwork(build_small(*case, **head), 'bgr')
    write_onnx(export_program(network, SIZE, dynamic), describe(network, None if dynamic else SIZE), path)
    return network


@pytest.mark.slow
@pytest.mark.parametrize('case', ONNX)
def test_onnx_gives_what_the_model_gives_at_any_size(case: str, tmp_path: Path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    network = write(ONNX[case], tmp_path / 'model.onnx', dynamic=True)
    assert check_file(network, tmp_path / 'model.onnx', [SIZE, (40, 24)]) < 1e-4
    assert ExportedModel(tmp_path / 'model.onnx').description.size is None


@pytest.mark.slow
def test_onnx_recolours_each_frame_of_any_number_of_images(tmp_path: Path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    edges = PolicyEdge(0, 2, 'brightness', 0.2), PolicyEdge(1, 2, 'translate_x', 0.1)
    clip = PolicyClip(Policy(4, num_nodes=1, edges=edges, reference_size=SIZE)).eval()
    images = torch.rand(3, 3, *SIZE)
    program = torch.export.export(clip, (images[:2],), dynamic_shapes=({0: Dim('batch', min=1)},), strict=False)
    torch.onnx.export(program, dynamo=True, verbose=False, external_data=False).save(str(tmp_path / 'clip.onnx'))
    session = importlib.import_module('onnxruntime').InferenceSession(str(tmp_path / 'clip.onnx'))
    for count in (1, 3):
        (found,) = session.run(None, {session.get_inputs()[0].name: images[:count].numpy()})
        np.testing.assert_allclose(found, clip(images[:count]).numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('pooling', ['reference', 'max', 'attention', 'aligned_attention'])
def test_onnx_gives_what_each_pooling_gives(pooling: str, tmp_path: Path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    network = write(('seg', CHAIN, None), tmp_path / 'model.onnx', dynamic=False, pooling=pooling)
    assert check_file(network, tmp_path / 'model.onnx', [SIZE]) < 1e-4
