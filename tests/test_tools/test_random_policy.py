from pathlib import Path

import pytest
from tool_scripts import load_script

from mmdas.search.das import OPERATIONS, Policy

ROOT = Path(__file__).parents[2]
SEARCHES = [
    'camvid/search-8f-gsf_pspnet_r18-d8_camvid-240x180',
    'cifar10_reduced/search-4f-gsf_resnet18-quarter_cifar10-reduced',
]
CELL = """
model = dict(data_preprocessor=dict(num_frames=5, cell=dict(
    type='mmdas.DASCell', space=['identity', 'rotate'], ranges=dict(rotate=(2.0, 3.0)), num_nodes=3, ramp='mirrored',
    padding='border', node_reduction='sum', share_strength=True)))
"""


@pytest.fixture
def tool():
    """The module tools/misc/random_policy.py."""
    return load_script('misc/random_policy.py')


@pytest.fixture
def cell_config(tmp_path: Path) -> Path:
    path = tmp_path / 'cell.py'
    path.write_text(CELL)
    return path


def write(tool, out: Path, *options: str) -> Policy:
    tool.main([str(out), *options])
    return Policy.load(out)


def test_written_file_is_the_random_policy_of_the_core_and_its_path_is_printed(tool, tmp_path, capsys):
    out = tmp_path / 'new/folder/policy.json'
    assert write(tool, out, '--frames', '6', '--seed', '3') == Policy.random(6, seed=3)
    assert capsys.readouterr().out == f'{out}\n'


def test_other_seed_gives_another_policy_and_the_same_seed_the_same(tool, tmp_path):
    first, again, other = (
        write(tool, tmp_path / 'policy.json', '--frames', '4', '--seed', seed).edges for seed in ('1', '1', '2')
    )
    assert first == again != other


def test_policy_of_a_config_has_all_that_its_cell_says(tool, tmp_path, cell_config):
    policy = write(tool, tmp_path / 'policy.json', '--config', str(cell_config))
    assert (policy.num_frames, policy.num_nodes, policy.operations) == (5, 3, ('identity', 'rotate'))
    assert (policy.ramp, policy.padding, policy.node_reduction) == ('mirrored', 'border', 'sum')
    rotations = [edge.strength for edge in policy.edges if edge.operation == 'rotate']
    assert rotations and all(2.0 <= strength <= 3.0 for strength in rotations)
    assert policy.origin == {'method': 'random', 'seed': 0, 'config': str(cell_config)}


@pytest.mark.parametrize('config', SEARCHES)
def test_search_configs_of_both_toolboxes_are_understood(tool, tmp_path, config):
    policy = write(tool, tmp_path / 'policy.json', '--config', str(ROOT / 'configs' / f'{config}.py'))
    assert policy.num_frames == int(config.partition('search-')[2][0])
    narrowed = [edge for edge in policy.edges if edge.operation == 'rotate']
    assert all(abs(edge.strength) <= OPERATIONS['rotate'].high / 2 for edge in narrowed)


def test_frames_other_than_the_config_s_are_refused(tool, tmp_path, cell_config):
    with pytest.raises(ValueError, match='--frames is 4, but num_frames of .*cell.py is 5'):
        write(tool, tmp_path / 'policy.json', '--config', str(cell_config), '--frames', '4')


def test_config_without_a_cell_is_refused(tool, tmp_path):
    config = tmp_path / 'plain.py'
    config.write_text('model = dict()')
    with pytest.raises(ValueError, match='plain.py has no data_preprocessor.cell'):
        write(tool, tmp_path / 'policy.json', '--config', str(config))


def test_frames_must_come_from_somewhere(tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'policy.json')])
    assert '--frames' in capsys.readouterr().err
