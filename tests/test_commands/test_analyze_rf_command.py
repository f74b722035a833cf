"""``mmdas analyze rf``: the fields of a config, plain and of DAS."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from mmdas.apis import DASOptions, load_config
from mmdas.apis.receptive_field import build_network, measure, receptive_fields
from mmdas.commands import main
from mmdas.search.das import Policy, PolicyEdge

BASE = Path(__file__).parents[2] / 'configs' / 'digit_scenes' / 'fcn_r18-d4_digits-48x48.py'
SMALL = ['--size', '48', '64', '--noise-images', '1']


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config of a small network, and policies."""
    root = tmp_path_factory.mktemp('fields')
    stages = 'num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,)'
    backbone = f'dict(base_channels=4, stem_channels=4, {stages})'
    head = 'dict(in_channels=8, channels=8, in_index=0, num_convs=1)'
    (root / 'small.py').write_text(f'_base_ = {str(BASE)!r}\nmodel = dict(backbone={backbone}, decode_head={head})\n')
    for name, operation, strength in (('same', 'identity', 0.0), ('right', 'translate_x', 0.125)):
        Policy(4, 1, (PolicyEdge(0, 2, operation, strength),), reference_size=(48, 64)).save(root / f'{name}.json')
    return root


def read(path: Path) -> dict:
    return json.loads((path / 'receptive_field.json').read_text())


@pytest.mark.slow
def test_policy_makes_a_plain_config_one_of_das_and_widens_its_field(folder: Path, tmp_path: Path, capsys):
    arguments = ['analyze', 'rf', str(folder / 'small.py'), '--policy', str(folder / 'right.json'), *SMALL]
    assert main([*arguments, '--out-dir', str(tmp_path)]) == 0
    found = read(tmp_path)
    stages = {stage['stage']: stage['width'] for stage in found['theory']}
    assert list(stages)[-2:] == ['backbone.layer2', 'decode_head.conv_seg'] and not found['no_theory']
    assert list(stages.values())[-2:] == [103, 103 + 2 * 8]
    assert found['clip']['reference'] == 48 * 64 and found['clip']['areas'][1] == 48 * (64 - 8)
    assert found['measured']['clip']['aspect'] > found['measured']['plain']['aspect']
    assert (tmp_path / 'receptive_field.png').stat().st_size > 1000
    assert 'measured, clip: 95 % of the mass' in capsys.readouterr().out


@pytest.mark.slow
def test_equal_frames_add_nothing_and_the_plain_network_has_the_weights_of_the_checkpoint(folder: Path, tmp_path: Path):
    cfg = load_config(folder / 'small.py', das='das', options=DASOptions(4, 'gsf', policy=str(folder / 'same.json')))
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.manual_seed(3)
        model = MODELS.build(cfg.model)
    checkpoint = str(tmp_path / 'das.pth')
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    before, state = cfg.pretty_text, torch.get_rng_state()
    found = receptive_fields(cfg, checkpoint, (48, 64), images=1)
    assert torch.equal(torch.get_rng_state(), state) and cfg.pretty_text == before
    torch.testing.assert_close(found.clip, found.plain, rtol=1e-3, atol=1e-6 * float(found.plain.max()))
    networks = [build_network(load_config(folder / 'small.py'), path) for path in (checkpoint, None)]
    torch.manual_seed(0)
    image = torch.randn(1, 3, 48, 64)
    with_weights, without = (measure(network, image, 2) for network in networks)
    torch.testing.assert_close(with_weights, found.plain)
    assert not torch.allclose(without, found.plain, rtol=0.1)


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [
        (['small.py', '--size', '0', '48'], '--size is 0 48'),
        (['small.py', '--noise-images', '0'], '--noise-images is 0'),
        (['small.py', 'gone.pth'], 'there is no checkpoint'),
        (['small.py', 'other.pth'], 'of the backbone; give the config'),
        (['small.py', '--images', 'nowhere'], 'there is no image'),
        (['small.py', '--das', 'search'], '--das search is for a search'),
    ],
)
def test_a_slip_is_one_line(arguments: list[str], match: str, folder: Path, tmp_path: Path, capsys):
    torch.save({'state_dict': {'head.fc.weight': torch.zeros(1)}}, folder / 'other.pth')
    words = [str(folder / word) if word.endswith(('.py', '.pth')) else word for word in arguments]
    assert main(['analyze', 'rf', *words, '--out-dir', str(tmp_path)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmdas'))
    assert match in line
