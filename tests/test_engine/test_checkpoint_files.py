"""Files of checkpoints: whole, plain data, and the newest that can be read."""

import os
import pickle
import random
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import OneCycleLR

from mmdas.engine.checkpoints import (
    CheckpointError,
    FolderInUseError,
    WriteError,
    as_plain_data,
    as_written,
    atomic_file,
    has_checkpoints,
    hold_folder,
    newest_checkpoint,
    read_checkpoint,
    release_folder,
    run_lock,
    trust_checkpoints,
    without_methods,
    write_atomically,
)
from mmdas.engine.finite import NotFiniteError, check_finite
from mmdas.engine.hooks import AtomicCheckpointHook


class Harmless:
    """What writes a file while it is loaded, as code in a checkpoint could."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def save(path: Path, iteration: int = 1, **content) -> Path:
    torch.save({'meta': {'iter': iteration, 'epoch': 0}, 'state_dict': {'w': torch.randn(999)}, **content}, path)
    return path


# reading


def test_what_a_checkpoint_of_the_toolboxes_holds_is_read(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 3])
    path = save(tmp_path / 'iter_1.pth', hub={'loss': history}, score=np.float64(0.5), shape=np.arange(3))
    content = read_checkpoint(path)
    assert np.array_equal(content['hub']['loss'].data, history.data)
    assert (content['score'], content['shape'].tolist()) == (0.5, [0, 1, 2])


@pytest.fixture
def nothing_allowed() -> Iterator[None]:
    """Commands of other tests allow types for the whole process."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


@pytest.mark.usefixtures('nothing_allowed')
def test_what_was_allowed_before_stays_allowed(tmp_path):
    """The commands allow MMEngine's types for the whole process, then read the checkpoint themselves first."""
    path = save(tmp_path / 'a.pth', history=HistoryBuffer([1.0], [1]))
    read_checkpoint(path)
    assert HistoryBuffer not in torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([HistoryBuffer]):
        read_checkpoint(path)
        assert HistoryBuffer in torch.serialization.get_safe_globals()


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
@pytest.mark.parametrize('ours', [True, False])
def test_a_one_cycle_schedule_goes_on_from_its_checkpoint(tmp_path, strategy, ours):
    """MMEngine puts a function into its state; ours leaves it out, and a checkpoint of MMEngine is read, too."""

    def schedule():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return OneCycleLR(optimizer, eta_max=1.0, total_steps=9, anneal_strategy=strategy), optimizer

    def rates(scheduler, optimizer, steps):
        found = []
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
            found.append(optimizer.param_groups[0]['lr'])
        return found

    first, optimizer = schedule()
    rates(first, optimizer, 3)
    state = {'meta': {'iter': 1}, 'param_schedulers': [first.state_dict()]}
    torch.save(without_methods(state) if ours else state, tmp_path / 'a.pth')
    if ours:
        torch.load(tmp_path / 'a.pth', weights_only=True)
    (saved,) = read_checkpoint(tmp_path / 'a.pth')['param_schedulers']
    second, other = schedule()
    second.load_state_dict(saved)
    other.load_state_dict(optimizer.state_dict())
    assert rates(second, other, 5) == rates(first, optimizer, 5)


@pytest.mark.parametrize('archive', [True, False])
def test_a_checkpoint_that_could_run_code_is_refused_and_does_not_run_it(tmp_path, archive):
    torch.save({'x': Harmless(tmp_path / 'ran')}, tmp_path / 'a.pth', _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=r'a\.pth holds more than data .*--trust-checkpoint'):
        read_checkpoint(tmp_path / 'a.pth')
    assert not (tmp_path / 'ran').exists()


def test_one_switch_lets_it_run(tmp_path):
    torch.save({'x': Harmless(tmp_path / 'ran')}, tmp_path / 'a.pth')
    trust_checkpoints()
    try:
        read_checkpoint(tmp_path / 'a.pth')
    finally:
        trust_checkpoints(False)
    assert (tmp_path / 'ran').exists()
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (lambda whole: b'', 'is empty'),
        (lambda whole: whole[: len(whole) // 2], 'no checkpoint, or only a part'),
        (lambda whole: whole[:-1], 'no checkpoint, or only a part|damaged'),
        (lambda whole: b'some text\n' * 50, 'no checkpoint'),
        (lambda whole: pickle.dumps([1, 2]), 'no checkpoint|more than data'),
    ],
)
def test_what_is_no_whole_checkpoint_is_named(tmp_path, content, words):
    path = save(tmp_path / 'iter_1.pth')
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(CheckpointError, match=words) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_changed_weight_is_found(tmp_path):
    path = save(tmp_path / 'iter_1.pth')
    whole = bytearray(path.read_bytes())
    start = bytes(whole).index(read_checkpoint(path)['state_dict']['w'].numpy().tobytes())
    for place in random.Random(0).sample(range(start, start + 999 * 4), 20):
        path.unlink()  # the tensors that were read above are still in the file
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match='damaged'):
            read_checkpoint(path)


# plain data


def test_plain_data_is_read_without_an_allow_list_and_comes_back(tmp_path):
    history = HistoryBuffer([1.0, 2.5], [1, 2], max_length=7)
    torch.save(
        as_plain_data({'a': {'h': history}, 'b': (np.int64(3), Path('x')), 'c': np.eye(2), 'd': Counter([4, 4])}),
        tmp_path / 'a.pth',
    )
    content = as_written(torch.load(tmp_path / 'a.pth', weights_only=True))
    assert np.array_equal(content['a']['h'].data, history.data)
    assert content['a']['h'].max_length == 7
    assert (content['b'], content['c']) == ((3, 'x'), [[1.0, 0.0], [0.0, 1.0]])
    assert content['d'] == Counter({4: 2})


# writing


@pytest.mark.parametrize('fails', ['fsync', 'replace'])
def test_a_file_is_as_before_where_writing_ends_early(tmp_path, monkeypatch, fails):
    path = tmp_path / 'a'
    write_atomically(path, b'before')

    def end(*_):
        raise KeyboardInterrupt

    if fails == 'fsync':
        monkeypatch.setattr(atomic_file.os, 'fsync', end)
    else:
        monkeypatch.setattr(Path, 'replace', end)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b'after')
    assert path.read_bytes() == b'before'


def test_a_written_file_has_the_mode_of_any_other(tmp_path):
    (tmp_path / 'a').write_bytes(b'')
    write_atomically(tmp_path / 'sub' / 'b', b'content')
    assert (tmp_path / 'sub' / 'b').read_bytes() == b'content'
    assert (tmp_path / 'sub' / 'b').stat().st_mode == (tmp_path / 'a').stat().st_mode
    assert [path.name for path in (tmp_path / 'sub').iterdir()] == ['b']


class Saving:
    """As much of a runner as a checkpoint hook needs."""

    def __init__(self, folder: Path) -> None:
        self.work_dir = str(folder)
        self.hooks = []
        self.message_hub = MessageHub(f'saving {folder}')
        self.fails = False
        self.present: list[set[str]] = []

    def save_checkpoint(self, out_dir: str, filename: str, *_, **__) -> None:
        if self.fails:
            raise OSError('disk full')
        save(Path(out_dir, filename))
        self.present.append({path.name for path in Path(out_dir).glob('*.pth')})


@pytest.mark.parametrize(('kind', 'expected'), [(AtomicCheckpointHook, ['iter_1.pth']), (CheckpointHook, [])])
def test_the_last_checkpoint_goes_only_when_the_next_one_is_there(tmp_path, kind, expected):
    hook, runner = kind(interval=1, by_epoch=False, max_keep_ckpts=1), Saving(tmp_path)
    hook.out_dir, hook.keep_ckpt_ids = str(tmp_path), deque([], 1)
    hook.file_backend = get_file_backend(str(tmp_path))
    hook._save_checkpoint_with_step(runner, 1, {})
    runner.fails = True
    with pytest.raises(OSError, match='disk full'):
        hook._save_checkpoint_with_step(runner, 2, {})
    assert [path.name for path in tmp_path.glob('*.pth')] == expected


# the newest


def test_the_newest_readable_checkpoint_is_found_whatever_the_pointer_says(tmp_path, caplog):
    for iteration in (9, 10, 11):
        save(tmp_path / f'iter_{iteration}.pth', iteration)
    (tmp_path / 'iter_11.pth').write_bytes(b'PK')
    for pointer in ('', '/nowhere/iter_11.pth', str(tmp_path / 'iter_9.pth'), '\0\1'):
        (tmp_path / 'last_checkpoint').write_text(pointer)
        path, content = newest_checkpoint(tmp_path)
        assert (path.name, content['meta']['iter']) == ('iter_10.pth', 10)


def test_a_checkpoint_within_an_epoch_is_newer_than_that_of_the_epoch_before(tmp_path):
    for name in ('epoch_2.pth', 'epoch_2_iter_25.pth', 'epoch_1.pth', 'best_acc_epoch_9.pth'):
        save(tmp_path / name)
    assert newest_checkpoint(tmp_path)[0].name == 'epoch_2_iter_25.pth'


def test_the_checkpoints_of_the_run_that_was_written_last_count(tmp_path):
    for number, name in enumerate(('iter_9000.pth', 'epoch_3.pth')):
        save(tmp_path / name)
        os.utime(tmp_path / name, (number, number))
    assert newest_checkpoint(tmp_path)[0].name == 'epoch_3.pth'


def test_checkpoints_elsewhere_are_found_by_the_pointer(tmp_path):
    (tmp_path / 'out').mkdir()
    save(tmp_path / 'out' / 'iter_7.pth', 7)
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(tmp_path / 'out' / 'iter_7.pth'))
    assert newest_checkpoint(tmp_path / 'work')[0] == tmp_path / 'out' / 'iter_7.pth'


def test_an_empty_folder_has_none_and_one_of_damaged_files_is_refused(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / 'iter_1.pth').write_bytes(b'')
    with pytest.raises(CheckpointError, match=r'none of the 1 checkpoints .*iter_1\.pth is empty.*--work-dir'):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize('saving', [dict(filename_tmpl='model_{}.pth'), dict(out_dir='OUT')])
def test_checkpoints_of_other_names_and_in_other_folders_are_found_without_the_pointer(tmp_path, saving):
    work = tmp_path / 'work'
    work.mkdir()
    folder = work
    if 'out_dir' in saving:
        saving, folder = dict(out_dir=str(tmp_path / 'out')), tmp_path / 'out' / 'work'
        folder.mkdir(parents=True)
    name = saving.get('filename_tmpl', 'iter_{}.pth')
    for iteration in (9, 10):
        save(folder / name.format(iteration), iteration)
    assert newest_checkpoint(work) is None
    assert has_checkpoints(work, saving)
    assert newest_checkpoint(work, saving)[0] == folder / name.format(10)


# one run in a folder


def in_another_process(work) -> int:
    """Exit code of a process that holds the folder of ``work``; 3 where it is refused."""
    process = os.fork()
    if process == 0:
        run_lock._held.clear()  # what another process would not have
        try:
            hold_folder(work)
            os._exit(0)
        except FolderInUseError as error:
            os._exit(3 if f'process {os.getppid()}' in str(error) and '--work-dir' in str(error) else 4)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.skipif(run_lock.fcntl is None, reason='this system has no locks')
def test_a_second_process_is_refused_until_the_first_one_lets_the_folder_go(tmp_path):
    hold_folder(tmp_path)
    hold_folder(tmp_path)  # a run of this process that ended in an error is no obstacle
    assert in_another_process(tmp_path) == 3
    release_folder(tmp_path)
    assert in_another_process(tmp_path) == 0
    hold_folder(tmp_path)  # the other one has ended
    release_folder(tmp_path)


def test_a_file_that_cannot_be_written_is_named_and_what_was_there_stays(tmp_path, monkeypatch):
    write_atomically(tmp_path / 'iter_1.pth', b'old')

    def full(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(WriteError, match=r'iter_1\.pth cannot be written: No space left on device; .*--resume'):
        write_atomically(tmp_path / 'iter_1.pth', b'new')
    assert [path.name for path in tmp_path.iterdir()] == ['iter_1.pth']
    assert (tmp_path / 'iter_1.pth').read_bytes() == b'old'


# finite numbers


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_a_value_that_is_not_finite_is_named(bad):
    good = {'a': torch.ones(3), 'count': torch.tensor(2), 'text': 'x', 'empty': torch.ones(0)}
    check_finite({**good, 'large': torch.full((2,), 3e38), 'half': torch.full((9,), 6e4, dtype=torch.half)}, '')
    tensor = torch.ones(2, 2)
    tensor[1, 0] = bad
    with pytest.raises(NotFiniteError, match='b is not finite in 1 of 4 values: the end'):
        check_finite({**good, 'b': tensor}, 'the end')
    with pytest.raises(NotFiniteError, match='loss is'):
        check_finite({**good, 'loss': bad}, '')
