"""Score over the cost of all trainings and searches: sums, the front and its page."""

import random
from pathlib import Path

from benchmarks.accuracy.rows import ROWS, Row
from benchmarks.accuracy.tasks import TASKS
from benchmarks.accuracy.total_cost import Cost, cost_table, costs, draw_costs, on_front


def record(row: str, score: float, seconds: float, search: float | None = None, teacher: float | None = None) -> dict:
    curve = [{'iterations': 10, 'train_seconds': seconds, 'score': score}]
    taught = {} if teacher is None else {'teacher': {'train_seconds': teacher}}
    return {'row': row, 'score': score, 'seed': 0, 'search_seconds': search, 'curve': curve, **taught}


def test_a_student_costs_its_training_its_teachers_and_the_searches_of_both():
    records = [
        record('distil-das', 57.0, 100.0, teacher=300.0),
        record('distil-das', 59.0, 200.0, teacher=400.0),
        record('argmax-4f-tsm-undecayed', 58.0, 350.0, search=120.0),
        record('augment-ddas', 58.5, 90.0, search=60.0),
        record('augment-das-4f-tsm-rand', 60.0, 900.0),
        record('distil-das-rand', 61.0, 100.0, teacher=900.0),
    ]
    found = {cost.row.name: cost for cost in costs(ROWS['cifar10'], records)}
    assert list(found) == ['augment-ddas', 'distil-das', 'distil-das-rand']  # no clips, cheapest first
    assert [cost.total for cost in found.values()] == [150.0, 150.0 + 350.0 + 120.0, 100.0 + 900.0 + 120.0]
    assert found['distil-das'].score == 58.0


def test_the_front_is_what_no_other_is_both_as_cheap_and_as_good_as():
    draw = random.Random(0)
    for _ in range(50):
        found = [Cost(Row(str(n), ''), (draw.randint(1, 6),), float(draw.randint(1, 6))) for n in range(8)]
        pairs = {(cost.total, cost.score) for cost in found}
        expected = [a for a in pairs if not any(b != a and b[0] <= a[0] and b[1] >= a[1] for b in pairs)]
        assert [(cost.total, cost.score) for cost in on_front(found)] == sorted(expected)


def test_table_and_picture_are_of_the_same_rows_and_compare_with_the_curve_of_plain(tmp_path: Path):
    plain = [record('plain', 50.0, 49.0), record('plain', 52.0, 51.0)]
    found = costs(
        ROWS['cifar10'], [record('augment-rand', 60.0, 50.0), record('distil-rand', 59.0, 60.0, teacher=50.0)]
    )
    lines = cost_table(found, plain).splitlines()
    assert lines[2] == '| **RandAugment** | **60.00** | 1 | 50 |  |  | 50 | 51.00 |'
    assert lines[3] == '| plain, taught by RandAugment | 59.00 | 1 | 60 | 50 |  | 110 | >= 51.00 |'
    files = [tmp_path / f'{number}.svg' for number in range(2)]
    for file in files:
        draw_costs(found, plain, TASKS['cifar10'], file)
    text = files[0].read_text()
    assert '1: RandAugment (1)' in text
    assert 'taught by' not in text.replace('taught, and controls', '')  # is not on the front
    assert 'plain, longer and longer (2)' in text
