"""Two processes teach a student as one does."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.dist import barrier, get_rank
from test_distill_hook import save_teacher, toy_model, training
from toy_search import loader, run
from two_processes import in_two_processes, process_variables

from mmdas.apis import end_processes
from mmdas.engine.distillation.cache_logits import FILE
from mmdas.engine.utils import unwrap

pytestmark = pytest.mark.slow

GLOBAL_BATCH = 4


def teach(work_dir: Path, folder: Path, processes: int, cache: bool = False) -> dict[str, torch.Tensor]:
    """The weights of a student whose global batches are the same for every number of processes."""
    teacher = dict(config=str(folder / 'teacher.py'), checkpoint=str(folder / 'teacher.pth'))
    model = toy_model('mmpretrain', 'plain')
    model['backbone']['norm_cfg'] = dict(type='GN', num_groups=2)
    batches = loader(
        'PackInputs',
        batch_size=GLOBAL_BATCH // processes,
        sampler='InfiniteSampler',
        dataset=dict(pipeline=[dict(type='PackInputs')], count=7),
    )
    config = training(
        work_dir,
        'mmpretrain',
        teacher,
        distill=dict(views=2, cache=cache),
        model=model,
        train_dataloader=batches,
        launcher='pytorch' if processes > 1 else 'none',
    )
    return {name: value.clone() for name, value in unwrap(run(config).model).state_dict().items()}


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    for cache in (False, True):
        state = teach(folder / f'two_{cache}', folder, 2, cache)
        torch.save(state, folder / f'state_{cache}_{get_rank()}.pth')
    barrier()
    end_processes()


def test_a_student_of_two_processes_equals_that_of_one(tmp_path):
    save_teacher(tmp_path, 'mmpretrain', 'das')
    in_two_processes(in_process, tmp_path)
    for cache in (False, True):
        first, second = (torch.load(tmp_path / f'state_{cache}_{rank}.pth', weights_only=True) for rank in (0, 1))
        alone = teach(tmp_path / f'one_{cache}', tmp_path, 1, cache)
        for name, value in alone.items():
            torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)
            torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
    scores = [json.loads((tmp_path / f'{name}_True' / 'teacher_score.json').read_text()) for name in ('one', 'two')]
    assert scores[0] == scores[1]
    tables = [torch.load(tmp_path / f'{name}_True' / FILE, weights_only=True) for name in ('one', 'two')]
    assert tables[0]['key'] == tables[1]['key']
    torch.testing.assert_close(tables[0]['logits'], tables[1]['logits'], rtol=2e-3, atol=1e-3)
