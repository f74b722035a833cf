"""A graph that looks at several views predicts what the model with these views predicts."""

import json
from pathlib import Path

import pytest
import torch
from deployed_models import CHAIN, SIZE, build_small, small
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import save_checkpoint
from test_deployed_network import predicted
from torch import nn

from mmdas.commands.main import main
from mmdas.deploy import DeployableNetwork, ExportedModel, ExportError, check_file, export_program, write_onnx
from mmdas.deploy.description import Description, describe
from mmdas.deploy.graph import PACKAGES
from mmdas.registry import MODELS
from mmdas.search.test_time import View, ViewPolicy

VIEWS = ViewPolicy(
    (View(), View('rotate', 9.0, flip=True), View('translate_x', 0.2), View(size=2.0), View('contrast', 0.3)),
    (0.3, 0.2, 0.2, 0.2, 0.1),
)
FLIPS = ViewPolicy((View(), View(flip=True)), (0.6, 0.4))
TURNED = ViewPolicy((View(), View('rotate', 9.0, flip=True)), (0.6, 0.4))
CASES = {'plain cls': ('cls',), 'plain seg': ('seg',), 'DAS cls': ('cls', CHAIN), 'DAS seg': ('seg', CHAIN)}


def with_views(policy: ViewPolicy, *case, **options) -> nn.Module:
    """A small model that looks at views, with the weights of :func:`build_small`."""
    kind, scope = ('Seg', 'mmseg') if case[0] == 'seg' else ('Cls', 'mmpretrain')
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(
            dict(type=f'mmdas.{kind}ViewModel', module=small(*case), policy=policy.to_dict(), channel_order='bgr')
        )
    model.module.load_state_dict(build_small(*case).state_dict())
    model.module.test_cfg.update(options) if options else None
    return model.eval()


@pytest.mark.parametrize('case', CASES)
@torch.no_grad()
def test_network_of_views_equals_the_prediction_of_the_toolbox(case: str):
    model = with_views(VIEWS, *CASES[case])
    pixels, expected = predicted(model, CASES[case][0])
    network = DeployableNetwork(model, 'bgr', output='logits' if 'seg' in case else 'probabilities')
    torch.testing.assert_close(network(pixels), expected, rtol=1e-5, atol=1e-5)
    alone = DeployableNetwork(build_small(*CASES[case]), 'bgr', output=network.output)(pixels)
    assert (network(pixels) - alone).abs().max() > 1e-3
    told = describe(network, SIZE)
    assert ViewPolicy.from_dict(Description.from_texts(told.to_texts(), 'FILE').views, 'FILE') == VIEWS


@torch.no_grad()
def test_views_of_the_image_alone_are_the_model_without():
    model = with_views(ViewPolicy(), 'cls', CHAIN)
    pixels = torch.rand(2, 3, *SIZE) * 255
    assert torch.equal(DeployableNetwork(model)(pixels), DeployableNetwork(build_small('cls', CHAIN))(pixels))


def test_views_that_are_none_of_the_input_are_refused():
    with pytest.raises(ExportError, match=r'predicts by windows.* leave the --policy of views out'):
        DeployableNetwork(with_views(FLIPS, 'seg', CHAIN, mode='slide', crop_size=(16, 16), stride=(8, 8)))
    with pytest.raises(ExportError, match='views have one size in a graph'):
        export_program(DeployableNetwork(with_views(FLIPS, 'cls')), SIZE, dynamic_size=True)


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with config and checkpoint of a plain segmentor, whose recording is quick, and two policies of views."""
    folder = tmp_path_factory.mktemp('views')
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=SIZE[::-1]), dict(type='PackSegInputs')]
    test = dict(dataset=dict(type='BaseSegDataset', data_root='absent', test_mode=True, pipeline=steps))
    shown = dict(type='SegLocalVisualizer', name='visualizer')
    cfg = dict(default_scope='mmseg', model=small('seg'), test_dataloader=test, visualizer=shown)
    Config(cfg).dump(folder / 'config.py')
    save_checkpoint({'state_dict': build_small('seg').state_dict(), 'meta': {}}, str(folder / 'best.pth'))
    TURNED.save(folder / 'views.json')
    ViewPolicy((View(), View(size=1.25)), (0.5, 0.5)).save(folder / 'larger.json')
    return folder


def export(folder: Path, policy: str, out: str) -> int:
    words = [str(folder / name) for name in ('config.py', 'best.pth')]
    return main(['export', *words, '--out', str(folder / out), '--policy', str(folder / policy)])


@pytest.mark.slow
@torch.no_grad()
def test_command_writes_the_views_into_the_graph(trained: Path, capsys: pytest.CaptureFixture):
    assert export(trained, 'views.json', 'model.pt2') == 0
    assert '2 views of every image are in the graph' in capsys.readouterr().out
    file = ExportedModel(trained / 'model.pt2')
    assert file.description.views == json.loads(json.dumps(TURNED.to_dict()))
    pixels, expected = predicted(with_views(TURNED, 'seg'), 'seg')
    torch.testing.assert_close(torch.from_numpy(file(pixels.numpy())), expected, rtol=1e-4, atol=1e-4)


def test_views_that_would_be_padded_are_refused(trained: Path, capsys: pytest.CaptureFixture):
    assert export(trained, 'larger.json', 'no.pt2') == 2
    assert "the view 'size 1.25' of 24 x 32 is 30 x 40, no multiples of 8" in capsys.readouterr().err
    assert not (trained / 'no.pt2').exists()


@pytest.mark.slow
def test_onnx_gives_what_the_views_give(tmp_path: Path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    network = DeployableNetwork(with_views(TURNED, 'seg', CHAIN), 'bgr')
    write_onnx(export_program(network, SIZE), describe(network, SIZE), tmp_path / 'model.onnx')
    assert check_file(network, tmp_path / 'model.onnx', [SIZE]) < 1e-4
