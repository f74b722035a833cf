"""The newest checkpoint of a run that can be read."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log

from .check import CheckpointError, read_checkpoint

POINTER = 'last_checkpoint'
# Names as MMEngine gives them, and those that are written in the middle of an epoch.
NAME = re.compile(r'(iter|epoch)_(\d+)(?:_iter_(\d+))?\.pth')


def newest_checkpoint(folder: str | Path, saving: Mapping | None = None) -> tuple[Path, dict] | None:
    """Find the newest checkpoint in a folder, whatever became of the file that points to it.

    Damaged ones are left out with a line in the log.

    Args:
        folder: of the run, where ``iter_N.pth`` or ``epoch_N.pth`` and MMEngine's pointer ``last_checkpoint`` are.
        saving: config of the run's checkpoint hook, whose ``filename_tmpl`` and ``out_dir`` say of other names and
            another folder.

    Returns:
        Its path and content; None if the folder holds no checkpoint.

    Raises:
        CheckpointError: if there are checkpoints and none of them can be read.
    """
    reasons = []
    for path in _candidates(Path(folder), saving or {}):
        try:
            content = read_checkpoint(path)
            _check_resumable(path, content)
        except CheckpointError as error:
            reasons.append(str(error))
            print_log(f'left out: {error}', 'current', logging.WARNING)
            continue
        return path, content
    if reasons:
        raise CheckpointError(
            f'none of the {len(reasons)} checkpoints in {folder} can be resumed ({reasons[0]}); name one by --resume '
            'CHECKPOINT, or give another --work-dir to begin anew'
        )
    return None


def has_checkpoints(folder: str | Path, saving: Mapping | None = None) -> bool:
    """Whether a run has left checkpoints in a folder; arguments as of :func:`newest_checkpoint`."""
    return bool(_candidates(Path(folder), saving or {}))


def _check_resumable(path: Path, content: object) -> None:
    meta = content.get('meta') if isinstance(content, dict) else None
    if not isinstance(meta, dict) or 'iter' not in meta or 'epoch' not in meta:
        raise CheckpointError(f'{path} does not say where its training stood')


def _candidates(folder: Path, saving: Mapping) -> list[Path]:
    """Checkpoints of a run, the newest first, those of the kind that was written last before others."""
    target = _target(folder)
    folders = {folder} if target is None else {folder, target.parent}
    if saving.get('out_dir') and '://' not in str(saving['out_dir']):
        folders.add(Path(saving['out_dir'], folder.resolve().name))  # where MMEngine's hook writes
    names = [NAME, *_own_names(saving.get('filename_tmpl'))]
    files = [path for place in folders for path in place.glob('*.pth')]
    found = {path: match for path in files for name in names if (match := name.fullmatch(path.name)) is not None}
    latest = {
        kind: max(path.stat().st_mtime_ns for path, match in found.items() if match[1] == kind)
        for kind in {match[1] for match in found.values()}
    }

    def age(path: Path) -> tuple[int, int, int]:
        kind, number, more = found[path].groups()
        return latest[kind], int(number), int(more) if (more or '').isdigit() else 0

    ordered = sorted(found, key=age, reverse=True)
    return ordered if target is None or target in ordered else [*ordered, target]


def _own_names(template: str | None) -> list[re.Pattern]:
    """The names that a template such as ``'model_{}.pth'`` makes."""
    if template is None or template.count('{}') != 1:
        return []
    before, after = map(re.escape, template.split('{}'))
    return [re.compile(rf'({before})(\d+)({after})')]


def _target(folder: Path) -> Path | None:
    """The file that the pointer names, in this folder where the folder was moved."""
    pointer = folder / POINTER
    text = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    if not text or not text.isprintable():
        return None
    return next((path for path in (folder / Path(text).name, Path(text)) if path.is_file()), None)
