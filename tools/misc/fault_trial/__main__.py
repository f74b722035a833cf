"""Inject faults into runs of the commands and print how many ended as they must.

Every run is a process of its own, killed, stopped or fed with broken files for real. The data set is DigitScenes, in a
folder that is removed at the end; the model has dropout, the images random flips and colours. Linux and macOS, a CPU.

    python tools/misc/fault_trial                 # all faults, some 30 minutes
    python tools/misc/fault_trial kill --count 3  # one of them, three times
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault('OMP_NUM_THREADS', '1')  # a process that is forked must have one thread

import checkpoint_files
import data_files
import interruptions
import long_run
import lost_process
import malformed
import not_finite
import settings
import torch
from trials import Trials

# A kind of fault yields for each injection whether the run ended as it must.
KINDS: tuple[Callable[[Trials], Iterator[bool]], ...] = (
    *(interruptions.kill, interruptions.kill_while_writing),
    *(checkpoint_files.damaged, checkpoint_files.changed),
    *(interruptions.signals, not_finite.not_finite, checkpoint_files.code),
    *(data_files.data, data_files.val_data, data_files.masks, data_files.copies, data_files.guard_cost),
    *(long_run.soak, settings.other_settings, lost_process.lost, malformed.malformed, malformed.policies),
)
FAULTS = {inject.__name__: inject for inject in KINDS}


def main() -> int:
    """Run the trials; 1 if one did not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('faults', nargs='*', metavar='FAULT', help=f'of {", ".join(FAULTS)} (default: all)')
    parser.add_argument('--count', type=int, default=20, help='times for faults with a random moment (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the moments (%(default)s)')
    parser.add_argument('--keep', type=Path, help='folder for data, runs and logs, which then stays')
    args = parser.parse_args()
    unknown = set(args.faults) - set(FAULTS)
    if unknown:
        parser.error(f'there is no fault {", ".join(sorted(unknown))}; there are {", ".join(FAULTS)}')
    torch.set_num_threads(1)
    import mmpretrain.models  # noqa: F401
    import mmseg.models  # noqa: F401

    all_right = True
    with TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        if args.keep:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True, parents=True)
        trials = Trials(folder.resolve(), args.count, args.seed)
        print('| fault | tried | right | seconds |\n| --- | --- | --- | --- |', flush=True)
        for fault in args.faults or FAULTS:
            begin = time.monotonic()
            inject = FAULTS[fault]
            results = list(inject(trials))
            all_right &= all(results)
            wrong = '' if all(results) else f' (wrong: {[n for n, result in enumerate(results) if not result]})'
            seconds = time.monotonic() - begin
            print(f'| {inject.__doc__} | {len(results)} | {sum(results)}{wrong} | {seconds:.0f} |', flush=True)
    return 0 if all_right else 1


if __name__ == '__main__':
    sys.exit(main())
