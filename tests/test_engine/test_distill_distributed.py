"""Two processes teach a student as one does."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.dist import barrier, get_rank
from test_distill_hook import save_teacher, toy_model, training
from torch import multiprocessing
from toy_search import loader, run
from two_processes import free_port, process_variables

from mmdas.apis import end_processes
from mmdas.engine.utils import unwrap

pytestmark = pytest.mark.slow

GLOBAL_BATCH = 4


def teach(work_dir: Path, folder: Path, processes: int) -> dict[str, torch.Tensor]:
    """The weights of a student whose global batches are the same for every number of processes."""
    teacher = dict(config=str(folder / 'teacher.py'), checkpoint=str(folder / 'teacher.pth'))
    model = toy_model('mmpretrain', 'plain')
    model['backbone']['norm_cfg'] = dict(type='GN', num_groups=2)
    batches = loader(
        'PackInputs',
        batch_size=GLOBAL_BATCH // processes,
        sampler='InfiniteSampler',
        dataset=dict(pipeline=[dict(type='PackInputs')]),
    )
    config = training(
        work_dir,
        'mmpretrain',
        teacher,
        distill=dict(views=2),
        model=model,
        train_dataloader=batches,
        launcher='pytorch' if processes > 1 else 'none',
    )
    return {name: value.clone() for name, value in unwrap(run(config).model).state_dict().items()}


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    torch.save(teach(folder / 'two', folder, 2), folder / f'state_{get_rank()}.pth')
    barrier()
    end_processes()


def test_a_student_of_two_processes_equals_that_of_one(tmp_path):
    save_teacher(tmp_path, 'mmpretrain', 'das')
    multiprocessing.spawn(in_process, args=(tmp_path, free_port()), nprocs=2)
    first, second = (torch.load(tmp_path / f'state_{rank}.pth', weights_only=True) for rank in (0, 1))
    alone = teach(tmp_path / 'one', tmp_path, 1)
    for name, value in alone.items():
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
    scores = [json.loads((tmp_path / name / 'teacher_score.json').read_text()) for name in ('one', 'two')]
    assert scores[0] == scores[1]
