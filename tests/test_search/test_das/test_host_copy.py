import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from mmdas.search.das import DASCell
from mmdas.search.das.fast.host_copy import HostCopy


class DeviceBuffer:
    """What :class:`HostCopy` sees of a buffer on a GPU; ``reads`` counts the waits for it."""

    device = torch.device('cuda')

    def __init__(self, *values: int, inference: bool = False) -> None:
        self.values, self.inference = list(values), inference
        self.reads = self._version = 0

    def is_inference(self) -> bool:
        return self.inference

    def tolist(self) -> list[int]:
        self.reads += 1
        return list(self.values)

    def write(self, *values: int, counted: bool = True) -> None:
        """Change the values in place; writing through ``.data`` is not counted."""
        self.values = list(values)
        self._version += counted


class Decisions(nn.Module):
    """A module with a buffer of decisions and its copy on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('chosen', torch.full((3,), -1))
        self.host = HostCopy()

    def read(self) -> list:
        return self.host.read(self.chosen)


def set_item(module: Decisions) -> None:
    module.chosen[1] = 2


def add(module: Decisions) -> None:
    module.chosen.add_(1)


def write_data(module: Decisions) -> None:
    """As averages over the iterations do; it is not counted as a change."""
    module.chosen.data.copy_(torch.tensor([1, 2, 3]))


def load(module: Decisions) -> None:
    module.load_state_dict({'chosen': torch.tensor([4, 5, 6])})


def load_by_assignment(module: Decisions) -> None:
    module.load_state_dict({'chosen': torch.tensor([4, 5, 6])}, assign=True)


def replace(module: Decisions) -> None:
    module.chosen = torch.tensor([7, 8, 9])


def convert(module: Decisions) -> None:
    module._apply(lambda tensor: tensor + 1)


CHANGES = [set_item, add, write_data, load, load_by_assignment, replace, convert]


@pytest.mark.parametrize('change', CHANGES)
def test_buffer_on_the_processor_is_always_fresh(change: Callable[[Decisions], None]) -> None:
    module = Decisions()
    assert module.read() == [-1, -1, -1]
    with torch.no_grad():
        change(module)
    assert module.read() == module.chosen.tolist() != [-1, -1, -1]


def test_buffer_on_a_device_is_read_once() -> None:
    host, buffer = HostCopy(), DeviceBuffer(1, 2)
    assert [host.read(buffer) for _ in range(4)] == [[1, 2]] * 4
    assert buffer.reads == 1


def test_buffer_on_a_device_is_read_again_once_after_each_change() -> None:
    host, buffer = HostCopy(), DeviceBuffer(0, 0)
    host.read(buffer)
    for step in range(1, 4):
        buffer.write(step, -step)
        assert [host.read(buffer) for _ in range(3)] == [[step, -step]] * 3
        assert buffer.reads == 1 + step


def test_buffer_that_replaces_another_is_read_although_both_have_changed_as_often() -> None:
    host, buffer, other = HostCopy(), DeviceBuffer(1), DeviceBuffer(2)
    assert [host.read(which) for which in (buffer, other, other, buffer)] == [[1], [2], [2], [1]]
    assert (buffer.reads, other.reads) == (2, 1)


def test_values_are_those_of_the_time_of_the_read() -> None:
    """A write that leaves no trace is not seen by this copy, but by a new one."""
    host, buffer = HostCopy(), DeviceBuffer(1)
    host.read(buffer)
    buffer.write(2, counted=False)
    assert host.read(buffer) == [1]
    assert HostCopy().read(buffer) == [2]


def test_buffer_of_the_inference_mode_is_read_every_time() -> None:
    """It counts no changes."""
    host, buffer = HostCopy(), DeviceBuffer(1, inference=True)
    host.read(buffer)
    buffer.write(2, counted=False)
    assert host.read(buffer) == [2]


@pytest.mark.parametrize('duplicate', [copy.copy, copy.deepcopy, lambda host: pickle.loads(pickle.dumps(host))])
def test_copy_starts_empty(duplicate: Callable) -> None:
    host, buffer = HostCopy(), DeviceBuffer(1)
    host.read(buffer)
    copied = duplicate(host)
    buffer.write(2, counted=False)
    assert copied.read(buffer) == [2]
    assert host.read(buffer) == [1]


@pytest.mark.parametrize('training', [True, False])
def test_cell_that_is_part_of_a_model_reads_its_decisions_again_where_the_mode_changes(training: bool) -> None:
    cell = DASCell(3, num_nodes=1).train(not training)
    model, chosen, kept = nn.Sequential(cell), DeviceBuffer(1), DeviceBuffer(2)
    cell._chosen.read(chosen), cell._kept.read(kept)
    chosen.write(3, counted=False), kept.write(4, counted=False)
    assert model.train(training) is model
    assert (cell._chosen.read(chosen), cell._kept.read(kept)) == ([3], [4])
    assert cell.training == training
    chosen.write(5, counted=False)
    assert cell.train(training) is cell
    assert cell._chosen.read(chosen) == [3]  # a loop that sets the same mode in every step does not wait in every step


@pytest.mark.skipif(not torch.cuda.is_available(), reason='only a device has to be waited for')
@pytest.mark.parametrize('options', [{}, {'share_strength': True}, {'strength': 'learned'}, {'space': 'large'}])
def test_step_of_a_cell_on_a_device_waits_for_nothing(options: dict) -> None:
    cell, images = DASCell(3, num_nodes=2, **options).cuda(), torch.rand(2, 3, 8, 9, device='cuda')
    cell.choose(0, 1)
    cell(images).sum().backward()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        cell(images).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def test_average_of_a_model_follows_the_decisions_of_its_source() -> None:
    """Averages over the iterations (MMEngine's ``EMAHook``) write buffers through ``.data``, which counts no change."""
    cell, images = DASCell(3, num_nodes=1), torch.rand(1, 3, 4, 5)
    average = copy.deepcopy(cell)
    average(images), average._loop(images)
    cell.keep_edges(2, [1])
    cell.choose(1, 3)
    for buffer, source in zip(average.buffers(), cell.buffers(), strict=True):
        buffer.data.copy_(source.data)
    torch.testing.assert_close(average(images), cell(images))
    torch.testing.assert_close(average._loop(images), cell._loop(images))


def test_cell_that_is_made_in_inference_mode_gives_its_clip() -> None:
    """Tensors of the inference mode count no changes."""
    images = torch.rand(1, 3, 4, 5)
    expected = DASCell(3, num_nodes=1)(images)
    with torch.inference_mode():
        torch.testing.assert_close(DASCell(3, num_nodes=1)(images), expected)
