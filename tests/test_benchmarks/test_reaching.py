"""Which edges of a policy reach the clip, and the comparison that the tables rate."""

import random
from collections import Counter

import pytest
import torch

from benchmarks.accuracy import choose
from benchmarks.accuracy.reaching import KEPT, LAST, NODES, by_chance, reach, two_edges
from benchmarks.accuracy.tasks import TASKS
from mmdas.search.das import DASCell, Policy, PolicyEdge
from mmdas.search.halving import Cost, final_length, make_rungs


def drawn(seed: int) -> Policy:
    """A policy whose nodes keep two edges at random."""
    draw = random.Random(seed)
    edges = [
        PolicyEdge(source, node, 'rotate', float(source))
        for node in range(2, LAST + 1)
        for source in draw.sample(range(node), KEPT)
    ]
    return Policy(4, NODES, tuple(edges))


def test_chance_is_what_drawn_policies_show():
    counts = Counter(reach(drawn(seed)).edges for seed in range(2000))
    for edges, share in by_chance().items():
        assert counts[edges] / 2000 == pytest.approx(share, abs=0.05)
    assert sum(by_chance().values()) == pytest.approx(1)


def test_a_last_node_that_takes_both_inputs_leaves_two_edges():
    for seed in range(50):
        found = reach(drawn(seed))
        assert (found.sources == (0, 1)) == (found.edges == 2)
        assert found.different <= found.edges


@pytest.mark.parametrize('share', [True, False])
def test_edges_from_both_inputs_learn_the_same_where_they_share_strengths(share: bool):
    """Why argmax keeps both or none: from equal logits they get equal gradients, other edges do not."""
    torch.manual_seed(0)
    cell = DASCell(num_frames=4, space='paper', share_strength=share)
    with torch.no_grad():
        cell.logits.copy_(torch.randn(1, cell.logits.shape[1]).expand_as(cell.logits))
    (cell(torch.rand(2, 3, 12, 12)) * torch.randn(2, 12, 12, 12)).sum().backward()
    gradients = dict(zip(cell.edges, cell.logits.grad, strict=True))
    for node in range(2, LAST + 1):
        equal = torch.allclose(gradients[0, node], gradients[1, node], rtol=1e-3, atol=1e-6)
        assert equal == share
        if node > 2:
            assert not torch.allclose(gradients[0, node], gradients[2, node], rtol=1e-2)


@pytest.mark.parametrize('name', choose.LENGTHS)
def test_comparison_of_a_table_has_its_schedule_and_a_third_of_its_cost(name: str, tmp_path, monkeypatch):
    commands: list[list[str]] = []
    monkeypatch.setattr(choose, 'mmdas', lambda command: commands.append(command) or 0)
    monkeypatch.setattr('sys.argv', ['choose', name, '--out', str(tmp_path), '--seed', '3'])
    assert choose.main() == 0
    cfg = choose.full_config(TASKS[name])
    assert cfg.train_cfg.max_iters == choose.LENGTHS[name] and not cfg.param_scheduler
    assert [hook.type for hook in cfg.custom_hooks] == ['EMAHook']
    ((_, _, *options),) = commands
    given = dict(zip(options[::2], options[1::2], strict=True))
    count, budget = len(given['--methods'].split(',')), int(given['--budget'].removesuffix('iters'))
    assert 3 * budget <= count * choose.SEEDS * choose.LENGTHS[name]
    assert given['--seed'] == '3'
    rungs = make_rungs(count, 2, choose.SEEDS)
    assert len({rung.part for rung in rungs}) == 1, 'no short trainings'
    final = final_length(rungs, [Cost(0, 1)] * count, budget, choose.LENGTHS[name])
    assert final > choose.LENGTHS[name] / 3


def test_a_seed_without_a_record_is_told_before_the_search(tmp_path):
    with pytest.raises(SystemExit, match='--search 99: the records of .* have the seeds'):
        two_edges(99, tmp_path)
    assert not list(tmp_path.iterdir())
