"""Make of a training's checkpoint the file that is handed out: weights alone, and a hash of them in the name.

The toolbox and mmdas load the file as any checkpoint. What only a training needs (optimiser, schedule, random numbers,
messages) is left out; the names of the classes and the record of the DAS settings stay.
"""

import argparse
import hashlib
from pathlib import Path

import torch

from mmdas.engine.checkpoints import read_checkpoint
from mmdas.version import __version__

DIGITS = 8  # of the hash


def publish(checkpoint: str | Path, stem: str | Path, half: bool = False) -> Path:
    """Write the file.

    Args:
        checkpoint: of a training.
        stem: path of the file without ending, such as ``zoo/fcn_digits``.
        half: whether weights are kept in half precision, half the size; they are single again once loaded.

    Returns:
        ``STEM-HASH.pth``.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        CheckpointError: if it cannot be read.
        ValueError: if it holds no weights.
    """
    content = read_checkpoint(checkpoint)
    if 'state_dict' not in content:
        raise ValueError(f'{checkpoint} has no state_dict; give a checkpoint that a training wrote')
    weights = {key: small(value, half) for key, value in content['state_dict'].items()}
    known = (content.get('meta') or {}).get('dataset_meta')
    stem, part = Path(stem), Path(f'{stem}.part')
    torch.save({'state_dict': weights, 'meta': {'dataset_meta': known, 'mmdas': __version__}}, part)
    return part.rename(stem.with_name(f'{stem.name}-{hash_of(part)}.pth'))


def small(value: torch.Tensor, half: bool) -> torch.Tensor:
    """A tensor on the CPU without the storage that it is a view of."""
    value = value.detach().cpu().clone()
    return value.half() if half and value.is_floating_point() else value


def hash_of(path: str | Path) -> str:
    """The first digits of the SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:DIGITS]


def main() -> None:
    """Publish what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='of a training')
    parser.add_argument('stem', help='path of the new file without ending; the hash is added')
    parser.add_argument('--half', action='store_true', help='keep weights in half precision')
    args = parser.parse_args()
    path = publish(args.checkpoint, args.stem, args.half)
    print(f'{path}: {path.stat().st_size / 1024:.0f} KiB')


if __name__ == '__main__':
    main()
