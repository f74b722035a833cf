"""Fixtures that all tests share."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import mmengine.config.utils
import pytest
import torch
from loader_workers import end_workers, know_workers
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

# MMEngine's first log writes to what is the standard output when it is made: here to that of the whole session, not to
# that of a test with `capsys`, which ends with the test.
MMLogger.get_current_instance()
# MMEngine reads all metafiles of a package for each config that inherits from there, half a second each time.
mmengine.config.utils.load = cache(mmengine.config.utils.load)


# They take longest and have few tests: begun last, one process would run them and the others wait.
LONGEST = ('test_demo.py', 'test_site.py', 'test_search_on_digit_scenes.py', 'test_lost_process.py')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)
    # Each data set of MMEngine looks for unused objects. What is imported by now is not looked through any more.
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


@contextmanager
def managed_instances_kept() -> Iterator[None]:
    """Default scopes and logs, of which MMEngine has one set a process, are afterwards those of before."""
    managed = DefaultScope._instance_dict, MMLogger._instance_dict
    before = [list(instances.items()) for instances in managed]
    yield
    for instances, kept in zip(managed, before, strict=True):
        instances.clear()
        instances.update(kept)


@pytest.fixture(scope='module', autouse=True)
def nothing_left_by_a_file() -> Iterator[None]:
    """A file begins without a default scope, and leaves none."""
    DefaultScope._instance_dict.clear()
    with managed_instances_kept():
        yield


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves what its runs have for the whole process to the next one.

    The default scope; logs, which write to a standard output that ends with the test; visualizers, which keep a folder.
    """
    with managed_instances_kept():
        yield
    kinds = [Visualizer]
    for kind in kinds:
        kind._instance_dict.clear()
        kinds += kind.__subclasses__()


@pytest.fixture(scope='session', autouse=True)
def configs_in_one_line() -> Iterator[None]:
    """A runner lays its config out four times for logs and files, which takes longer than most trainings of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (f'{text}\n', True))
        yield


@pytest.fixture(scope='session', autouse=True)
def workers_are_known() -> Iterator[None]:
    """Data loaders tell of their workers, see `loader_workers`."""
    with pytest.MonkeyPatch.context() as patch:
        know_workers(patch)
        yield


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    """The workers of a test end with it."""
    yield
    end_workers()


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the real data sets; the test is skipped where it is absent."""
    root = Path(__file__).parents[1] / 'data'
    if not root.is_dir():
        pytest.skip(f'the real data sets are not at {root}')
    return root


@pytest.fixture
def mmseg_scope():
    """Types without a prefix are MMSegmentation's."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def mmpretrain_scope():
    """Types without a prefix are MMPretrain's."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield
