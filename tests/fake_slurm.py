"""The commands of Slurm that submitit calls, as scripts that run jobs on this machine.

A job waits while the file ``hold`` is in the folder. ``N.state`` is what ``sacct`` says of job N; ``scripts`` has
those that were submitted, one a line.
"""

import os
import stat
from pathlib import Path

SBATCH = """#!/bin/sh
number=$(( $(cat "$FAKE_SLURM/scripts" 2>/dev/null | wc -l) + 1 ))
echo "$1" >> "$FAKE_SLURM/scripts"
echo PENDING > "$FAKE_SLURM/$number.state"
export SLURM_JOB_ID=$number
(
    while [ -e "$FAKE_SLURM/hold" ]; do sleep 0.05; done
    [ "$(cat "$FAKE_SLURM/$number.state")" = PENDING ] || exit
    echo RUNNING > "$FAKE_SLURM/$number.state"
    sh "$1"
    [ "$(cat "$FAKE_SLURM/$number.state")" = RUNNING ] && echo COMPLETED > "$FAKE_SLURM/$number.state"
) > /dev/null 2>&1 &
echo "Submitted batch job $number"
"""
SRUN = """#!/bin/sh
output=$(echo "$3" | sed "s/%j/$SLURM_JOB_ID/; s/%t/0/")
error=$(echo "$5" | sed "s/%j/$SLURM_JOB_ID/; s/%t/0/")
shift 5
echo $$ > "$FAKE_SLURM/$SLURM_JOB_ID.pid"
exec "$@" > "$output" 2> "$error"
"""
SACCT = """#!/bin/sh
echo 'JobID|State|NodeList'
for file in "$FAKE_SLURM"/*.state; do
    echo "$(basename "$file" .state)|$(cat "$file")|here"
done
"""
SCANCEL = """#!/bin/sh
echo 'CANCELLED by 0' > "$FAKE_SLURM/$1.state"
[ -e "$FAKE_SLURM/$1.pid" ] && kill "$(cat "$FAKE_SLURM/$1.pid")"
exit 0
"""


def install(folder: Path, monkeypatch) -> Path:
    """Put the commands first in the path; the folder of the jobs' states."""
    folder.mkdir()
    for name, text in {'sbatch': SBATCH, 'srun': SRUN, 'sacct': SACCT, 'scancel': SCANCEL}.items():
        path = folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('FAKE_SLURM', str(folder))
    return folder
