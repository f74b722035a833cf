"""The experiments fit the configs that they run."""

import pytest
from mmengine.config import Config

import mmdas  # noqa: F401  makes the installed configs known
from benchmarks.accuracy import ROOT, TASKS


def resolve(cfg: Config, key: str) -> object:
    """Value at a dotted key; KeyError, IndexError or TypeError where there is none."""
    node = cfg.to_dict()
    for part in key.split('.'):
        node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
    return node


@pytest.mark.parametrize('frames', [4, 8])
@pytest.mark.parametrize('name', sorted(TASKS))
def test_every_option_of_an_experiment_is_a_setting_of_its_configs(name, frames):
    task = TASKS[name]
    folder = ROOT / 'configs' / task.folder
    configs = {
        folder / f'{task.host}.py': task.options,
        folder / f'repeat-{frames}f-gsf_{task.host}.py': task.options,
        folder / f'search-{frames}f-gsf_{task.host}.py': task.search_options,
    }
    for path, options in configs.items():
        cfg = Config.fromfile(path)
        for option in options:
            resolve(cfg, option.split('=')[0])
