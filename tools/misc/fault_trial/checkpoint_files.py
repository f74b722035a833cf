"""Checkpoints that are damaged, or more than data."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from processes import read, start, wait
from trials import Trials

from mmdas.engine.checkpoints import CheckpointError, newest_checkpoint, read_checkpoint


def damaged(trials: Trials) -> Iterator[bool]:
    """The newest checkpoint or the pointer to it is damaged, or the folder has another name; then --resume."""
    config = trials.configs()[-1]
    for number, damage in enumerate(DAMAGES):
        work_dir = trials.folder / f'damaged-{number}'
        trials.run(config, work_dir, '--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=3')
        work_dir = damage(work_dir)
        yield trials.goes_on_exactly(config, work_dir)


def changed(trials: Trials) -> Iterator[bool]:
    """A byte of the weights in a checkpoint is changed; then a test of it."""
    config = trials.configs()[-1]
    work_dir = trials.folder / 'changed'
    trials.run(config, work_dir)
    whole = newest_checkpoint(work_dir)[0].read_bytes()
    start_ = whole.index(b'data/0') + 200
    for number in range(trials.count):
        path = trials.folder / f'changed-{number}.pth'
        place = trials.random.randrange(start_, len(whole) - 4000)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << trials.random.randrange(8)]) + whole[place + 1 :])
        try:
            read_checkpoint(path)
            yield same_content(path, newest_checkpoint(work_dir)[0])  # between two records nothing is lost
        except CheckpointError:
            yield True


def code(trials: Trials) -> Iterator[bool]:
    """A checkpoint that would make a file while it is loaded: --resume, load_from, test, predict, Pretrained."""
    config = trials.configs()[-1]
    evil, ran = trials.folder / 'code' / 'iter_5.pth', trials.folder / 'ran'
    evil.parent.mkdir()
    torch.save({'state_dict': {}, 'meta': {'iter': 5, 'epoch': 0}, 'x': Harmless(ran)}, evil)
    image = str(next((trials.folder / 'data' / 'JPEGImages').iterdir()))
    out = trials.folder / 'code-run'
    pretrained = trials.folder / 'pretrained.py'
    init = f"dict(type='Pretrained', checkpoint={str(evil)!r})"
    pretrained.write_text(f'_base_ = {str(config)!r}\nmodel = dict(backbone=dict(init_cfg={init}))\n')
    runs = [
        ('train', [str(config), '--work-dir', str(out), '--resume', str(evil)]),
        ('train', [str(config), '--work-dir', str(evil.parent), '--resume']),
        ('train', [str(config), '--work-dir', str(out), '--cfg-options', f'load_from={evil}']),
        ('train', [str(pretrained), '--work-dir', str(out)]),
        ('test', [str(config), str(evil), '--work-dir', str(out)]),
        ('predict', [str(config), str(evil), image, '--out-dir', str(out)]),
    ]
    for number, (command, arguments) in enumerate(runs):
        log = trials.folder / f'code-{number}.log'
        status = wait(start(arguments, log, command))
        yield status not in (0, None) and not ran.exists() and 'Traceback' not in read(log)


class Harmless:
    """Makes a file while it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def same_content(left: Path, right: Path) -> bool:
    """Whether two checkpoints have the same weights."""
    one, other = (torch.load(path, weights_only=True)['state_dict'] for path in (left, right))
    return all(torch.equal(value, other[key]) for key, value in one.items())


def newest_file(work_dir: Path) -> Path:
    """The newest checkpoint, whole or not."""
    return newest_checkpoint(work_dir)[0]


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Damage that changes the content of the newest checkpoint."""

    def damage(work_dir: Path) -> Path:
        path = newest_file(work_dir)
        path.write_bytes(change(path.read_bytes()))
        return work_dir

    return damage


def lose(pointer: str | None, rename: bool = False) -> Callable[[Path], Path]:
    """Damage by which the newest checkpoint is gone, the pointer holds something else or None, the folder moves."""

    def damage(work_dir: Path) -> Path:
        newest_file(work_dir).unlink()
        if pointer is None:
            (work_dir / 'last_checkpoint').unlink()
        else:
            (work_dir / 'last_checkpoint').write_text(pointer or (work_dir / 'last_checkpoint').read_text())
        return work_dir.rename(work_dir.with_name(f'{work_dir.name}-renamed')) if rename else work_dir

    return damage


DAMAGES: list[Callable[[Path], Path]] = [
    rewrite(lambda content: content[: len(content) // 2]),
    rewrite(lambda content: b''),
    rewrite(lambda content: b'{"no": "checkpoint"}'),
    lose(None),
    lose(' '),
    lose('/nowhere/iter_11.pth'),
    lose('', rename=True),
]
