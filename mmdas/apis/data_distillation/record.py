"""What was predicted so far, so that a distillation goes on where it was stopped."""

import json
import os
from pathlib import Path
from typing import Any

from mmdas.engine.checkpoints.atomic_file import write_atomically

SETTINGS, LINES = 'distillation.json', 'predictions.jsonl'


class Record:
    """A line for each image that is done, in a folder whose settings stay the same.

    Args:
        folder: of the data set that is written; made where it is not there.
        settings: plain data that decide the labels.

    Attributes:
        done: name of the image -> what was found of it.

    Raises:
        ValueError: if the folder holds a distillation with other settings, or a record that cannot be read.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.done = folder, {}  # type: Path, dict[str, dict[str, Any]]
        path = folder / SETTINGS
        if path.is_file():
            self._compare(path, settings)
            self._read()
        else:
            write_atomically(path, json.dumps(settings, indent=1).encode())

    def _compare(self, path: Path, settings: dict[str, Any]) -> None:
        try:
            before = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f'{path} cannot be read ({error}); give another --out-dir') from error
        found = [
            f'{key} is {value} and was {before.get(key)}' for key, value in settings.items() if before.get(key) != value
        ]
        if found:
            raise ValueError(
                f'{self.folder} holds labels of another distillation: {"; ".join(found)}; give another --out-dir'
            )

    def _read(self) -> None:
        """Read the lines, without one that was not written to its end."""
        path = self.folder / LINES
        content = path.read_bytes() if path.is_file() else b''
        whole = content[: content.rfind(b'\n') + 1]
        if whole != content:
            write_atomically(path, whole)
        for number, line in enumerate(whole.decode().splitlines(), 1):
            try:
                row = json.loads(line)
                self.done[row['image']] = row
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f'{path}:{number} is no line of a distillation; give another --out-dir') from error

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Add images, and bring them to the disk."""
        with (self.folder / LINES).open('a') as stream:
            stream.writelines(json.dumps(row) + '\n' for row in rows)
            stream.flush()
            os.fsync(stream.fileno())
        self.done.update((row['image'], row) for row in rows)
