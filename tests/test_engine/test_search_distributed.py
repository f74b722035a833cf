import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import barrier, get_rank
from mmengine.runner import Runner
from toy_search import (
    cell_config,
    cls_model,
    differences,
    epoch_search,
    final_state,
    loader,
    read_policy,
    run,
    selection_config,
)
from two_processes import in_two_processes, process_variables

from mmdas.apis import end_processes
from mmdas.apis.fast_search import take_any_frames
from mmdas.engine.hooks.random_state_hook import random_state
from mmdas.engine.utils import unwrap

pytestmark = pytest.mark.slow

GLOBAL_BATCH = 4


def search(work_dir: Path, processes: int, space: list[str], image: int = 0, **options) -> Config:
    """A search whose global batches are the same for every number of processes, without flips and batch norm.

    Its warm-up of one epoch sees the image alone where ``image`` is 1.
    """

    def part(seed: int) -> dict:
        dataset = dict(seed=seed, count=8, pipeline=[dict(type='PackInputs')])
        return loader('PackInputs', batch_size=GLOBAL_BATCH // processes, dataset=dataset)

    config = epoch_search(
        work_dir,
        model=cls_model(cell_config(space=space), norm=dict(type='GN', num_groups=2)),
        train_dataloader=part(seed=0),
        policy_loader=part(seed=1),
        train_cfg=dict(max_epochs=2, warmup_epochs=1, image_epochs=image, selection=selection_config(num_batches=1)),
        launcher='pytorch' if processes > 1 else 'none',
        **options,
    )
    take_any_frames(config)
    return config


def run_equal(folder: Path) -> None:
    runner = run(search(folder / 'two', 2, ['identity', 'rotate', 'scale'], image=1))
    torch.save(unwrap(runner.model).state_dict(), folder / f'state_{get_rank()}.pth')


def run_resumed(folder: Path) -> None:
    """Each process draws its own noise, and all of them go on with it."""
    options = dict(space=['identity', 'rotate', 'noise'], randomness=dict(seed=0, diff_rank_seed=True))
    states, draws = [], []
    for name, checkpoint in (('whole', None), ('resumed', folder / 'whole/epoch_3.pth')):
        runner = run(search(folder / name, 2, **options), resume=checkpoint)
        barrier()  # the main process writes files
        states.append(final_state(runner))
        draws.append(random_state())
    found = differences(states[0], states[1]) + differences(draws[0], draws[1])
    torch.save(found, folder / f'differences_{get_rank()}.pth')
    torch.save(states[0]['random'], folder / f'random_{get_rank()}.pth')
    loop = runner.train_loop
    seeds = [batches.dataloader.sampler.seed for batches in (loop.weights_batches, loop.policy_batches)]
    torch.save(seeds, folder / f'seeds_{get_rank()}.pth')


def in_process(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(process_variables(rank, port))
    run_equal(folder)
    run_resumed(folder)
    end_processes()


@pytest.fixture(scope='module')
def results(tmp_path_factory) -> Path:
    """Folder of what two processes have found; one start of the processes serves all tests."""
    folder = tmp_path_factory.mktemp('processes')
    in_two_processes(in_process, folder)
    return folder


@pytest.fixture(scope='module')
def alone(tmp_path_factory) -> Runner:
    return run(search(tmp_path_factory.mktemp('alone'), 1, ['identity', 'rotate', 'scale'], image=1))


def load(path: Path) -> dict:
    return torch.load(path, weights_only=False)


@pytest.mark.slow
def test_two_processes_search_as_one_with_the_same_global_batch(results, alone):
    expected, state = alone.model.state_dict(), load(results / 'state_0.pth')
    assert set(state) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=1e-5, msg=lambda text, name=name: f'{name}: {text}')
    for name in ('chosen', 'kept'):
        key = f'data_preprocessor.cell.{name}'
        assert torch.equal(state[key], expected[key])


def test_both_processes_end_with_the_same_model(results):
    assert differences(load(results / 'state_0.pth'), load(results / 'state_1.pth')) == []


def test_two_processes_write_the_policy_of_one(results, alone):
    written = json.loads((results / 'two/policy.json').read_text())
    assert written['edges'] == read_policy(alone)['edges']


@pytest.mark.parametrize('rank', [0, 1])
def test_every_process_of_a_resumed_search_goes_on_exactly(results, rank):
    assert load(results / f'differences_{rank}.pth') == []


def test_all_processes_deal_from_one_order_of_the_data_though_their_seeds_differ(results):
    assert load(results / 'seeds_0.pth') == load(results / 'seeds_1.pth')


def test_a_checkpoint_holds_the_random_state_of_every_process(results):
    states = load(results / 'random_0.pth')
    assert len(states) == 2
    assert differences(states[0]['torch'], states[1]['torch']) != []
