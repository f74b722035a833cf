"""The benchmark of shape and texture trains what its rows say and adds up what it measured."""

import json
from pathlib import Path

import pytest

from benchmarks import shape_bias
from mmdas.apis import load_config, preprocessor_of

SMALL = {
    'train_dataloader.dataset.per_class': 4,
    'train_dataloader.batch_size': 20,
    'val_dataloader.dataset.per_class': 2,
    'test_dataloader.dataset.per_class': 2,
}


def parts_of(row: str, out: Path) -> list[str]:
    cfg = load_config(shape_bias.CONFIG)
    shape_bias.ROWS[row](cfg, out, (None, None))
    return [part['type'] for part in [*preprocessor_of(cfg).get('augments', []), *cfg.get('custom_hooks', [])]]


@pytest.mark.slow
def test_rows_differ_by_their_augments_and_hooks(tmp_path: Path):
    found = {row: parts_of(row, tmp_path) for row in shape_bias.DEFAULT_ROWS}
    assert found == {
        'plain': [],
        'randaugment': ['mmdas.PolicyAugment'],
        'colours': ['mmdas.StyleAugment'],
        'mixstyle': ['mmdas.FeatureHook'],
    }
    assert len(list((tmp_path / 'styles').iterdir())) == 10 * shape_bias.STYLES


@pytest.mark.slow
def test_row_is_trained_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shape_bias, 'STYLES', 1)
    record = shape_bias.measure('colours', 0, 1, tmp_path, options=SMALL)
    assert list(record) == ['row', 'seed', 'epochs', *shape_bias.METRICS, 'seconds']
    assert 0 <= record['agree'] <= 100 and record['conflict_shape'] + record['conflict_texture'] <= 100


def test_table_has_means_and_deviations_of_what_is_known():
    records = [
        {'row': 'plain', 'seed': seed, 'epochs': 8, **dict.fromkeys(shape_bias.METRICS, value)}
        for seed, value in enumerate((10.0, 20.0, float('nan')))
    ]
    lines = shape_bias.table(records).splitlines()
    assert lines[2] == f'| plain | 8 | {" | ".join(["15.0 ± 7.1"] * 5)} | 3 |'
    assert shape_bias.spread([float('nan')]) == 'unknown'


def test_what_is_measured_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def measure(row: str, seed: int, epochs: int, *others) -> dict:
        return {'row': row, 'seed': seed, 'epochs': epochs, **dict.fromkeys(shape_bias.METRICS, 50.0)}

    path = tmp_path / 'results.jsonl'
    path.write_text(json.dumps(measure('plain', 0, shape_bias.EPOCHS)) + '\n')
    monkeypatch.setattr(shape_bias, 'measure', measure)
    words = ['shape_bias', '--rows', 'plain', 'colours', '--seeds', '0', '1', '--results', str(path)]
    monkeypatch.setattr('sys.argv', words)
    shape_bias.main()
    found = [(record['row'], record['seed']) for record in shape_bias.read(path)]
    assert found == [('plain', 0), ('colours', 0), ('plain', 1), ('colours', 1)]
    assert '| plain | 8 | 50.0 ± 0.0' in capsys.readouterr().out
