"""Configs, arguments and policy files that are malformed."""

import os
import time
from collections.abc import Iterator

import torch
from malformed_inputs import ARGUMENTS, CONFIGS, POLICIES, files, write_files
from processes import read, start, wait
from trials import Trials

from mmdas.search import PolicyError, load_policy
from mmdas.search.das import PolicyClip


def malformed(trials: Trials) -> Iterator[bool]:
    """Malformed configs and arguments of mmdas convert: one line, and nothing is written."""
    cases = [(content, ['mine.py', '--out-dir', 'out'], part) for content, part in CONFIGS.values()]
    cases += [(None, arguments, part) for arguments, part in ARGUMENTS.values()]
    for number, (content, arguments, part) in enumerate(cases):
        folder = trials.folder / f'malformed-{number}'
        folder.mkdir()
        write_files(folder)
        if content is not None:
            (folder / 'mine.py').write_bytes(content if isinstance(content, bytes) else content.encode())
        before, log = files(folder), trials.folder / f'malformed-{number}.log'
        os.chdir(folder)
        code = wait(start(arguments, log, 'convert'))
        os.chdir(trials.folder)
        line = (read(log).splitlines() or [''])[-1]
        yield code == 2 and part in line and 'Traceback' not in read(log) and files(folder) == before


def policies(trials: Trials) -> Iterator[bool]:
    """Policy files of any size and content: a finite clip, or an error of under 1,000 characters, in 10 seconds."""
    path = trials.folder / 'policy.json'
    for content, message in POLICIES.values():
        path.write_text(content())
        begin = time.monotonic()
        try:
            policy = load_policy(path)
            in_time = time.monotonic() - begin < 10
            yield in_time and message is None and bool(PolicyClip(policy)(torch.rand(1, 3, 8, 8)).isfinite().all())
        except PolicyError as error:
            yield message is not None and len(str(error)) < 1000 and time.monotonic() - begin < 10
