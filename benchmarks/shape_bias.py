"""Shape or texture: what a small network goes by after trainings of several kinds.

``python -m benchmarks.shape_bias --seeds 0 1 2`` trains the config of configs/shape_texture a row and seed at a time
and writes a line of JSON each to ``benchmarks/results/shape-bias.jsonl``; what is there is not trained again.
``--table`` prints the means.
"""

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is loaded: seconds of several threads do not compare

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from PIL import Image  # noqa: E402

from mmdas.apis import build_runner, load_config, set_augment  # noqa: E402
from mmdas.apis.augment_search import augmented_preprocessor  # noqa: E402
from mmdas.datasets import ShapeTextureDigits  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs' / 'shape_texture' / 'resnet18-quarter_shape-texture.py'
RESULTS = ROOT / 'benchmarks' / 'results' / 'shape-bias.jsonl'
METRICS = ('bias', 'conflict_shape', 'conflict_texture', 'shape_only', 'agree')
EPOCHS = 8
STYLES = 20  # images of each class whose colours are the styles

Weights = tuple[str | None, str | None]


def plain(cfg: Config, out: Path, weights: Weights) -> None:
    """The config as it is."""


def randaugment(cfg: Config, out: Path, weights: Weights) -> None:
    cfg.data_preprocessor.channel_order = 'rgb'
    set_augment(cfg, 'randaugment')


def colours(cfg: Config, out: Path, weights: Weights) -> None:
    """Half of the images have the colours of another one, drawn from the Gaussian of training images."""
    add_style(cfg, {'styles': write_styles(out / 'styles'), 'alpha': 1.0})


def adain(cfg: Config, out: Path, weights: Weights) -> None:
    """The same by AdaIN, with weights that the command line names."""
    encoder, decoder = weights
    if encoder is None or decoder is None:
        raise SystemExit('the row adain needs --encoder and --decoder')
    add_style(cfg, {'styles': write_styles(out / 'styles'), 'alpha': 1.0, 'encoder': encoder, 'decoder': decoder})


def mixstyle(cfg: Config, out: Path, weights: Weights) -> None:
    """Mixed statistics of features."""
    cfg.custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.MixStyle'))]


ROWS: dict[str, Callable[[Config, Path, Weights], None]] = {
    'plain': plain,
    'randaugment': randaugment,
    'colours': colours,
    'mixstyle': mixstyle,
    'adain': adain,
}
DEFAULT_ROWS = ('plain', 'randaugment', 'colours', 'mixstyle')


def add_style(cfg: Config, options: dict[str, Any]) -> None:
    """Let the training draw styles."""
    cfg.data_preprocessor.channel_order = 'rgb'
    cfg.data_preprocessor.update(augmented_preprocessor(cfg, [dict(type='mmdas.StyleAugment', **options)]))


def write_styles(folder: Path) -> str:
    """Training images as files, the styles of a row."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = ShapeTextureDigits('train', per_class=STYLES, size=20)
    for index in range(len(dataset)):
        Image.fromarray(dataset.get_data_info(index)['img']).save(folder / f'{index:04d}.png')
    return str(folder)


def measure(
    row: str, seed: int, epochs: int, out: Path, weights: Weights = (None, None), options: dict | None = None
) -> dict:
    """Train and test a row with one seed; the record, with seconds of the CPU."""
    torch.set_num_threads(1)
    length = {'train_cfg.max_epochs': epochs, 'train_cfg.val_interval': epochs, 'param_scheduler.total_steps': epochs}
    options = {**(options or {}), **length}
    cfg = load_config(CONFIG, work_dir=str(out / f'{row}-{seed}'), cfg_options=options)
    ROWS[row](cfg, out, weights)
    cfg.randomness = dict(seed=seed)
    cfg.log_level = 'WARNING'
    cfg.experiment_name = f'shape-bias-{time.time_ns()}'
    cfg.default_hooks.update(checkpoint=None)
    with DefaultScope.overwrite_default_scope('mmengine'):
        runner, start = build_runner(cfg), time.process_time()
        runner.train()
        seconds = round(time.process_time() - start, 1)
        scores = runner.test()
    found = {name: scores[f'shape_bias/{name}'] for name in METRICS}
    rounded = {name: round(value, 2) for name, value in found.items()}
    return {'row': row, 'seed': seed, 'epochs': epochs, **rounded, 'seconds': seconds}


def table(records: Iterable[dict]) -> str:
    """Means and standard deviations over the seeds of each row and length, as Markdown."""
    rows: dict[tuple[str, int], list[dict]] = {}
    for record in records:
        rows.setdefault((record['row'], record['epochs']), []).append(record)
    head = ('training', 'epochs', 'shape bias', 'shape', 'texture', 'shape alone', 'both agree', 'seeds')
    lines = [f'| {" | ".join(head)} |', '|' + ' --- |' * len(head)]
    for (row, epochs), found in rows.items():
        cells = [spread([record[name] for record in found]) for name in METRICS]
        lines.append(f'| {row} | {epochs} | {" | ".join(cells)} | {len(found)} |')
    return '\n'.join(lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation, without values that are not known."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return 'unknown'
    return f'{statistics.mean(known):.1f}' + (f' ± {statistics.stdev(known):.1f}' if len(known) > 1 else '')


def read(path: Path) -> list[dict]:
    """Records of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', nargs='+', choices=list(ROWS), default=list(DEFAULT_ROWS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=EPOCHS, help='default: %(default)s')
    parser.add_argument('--encoder', help="weights of AdaIN's VGG, for the row adain")
    parser.add_argument('--decoder', help="weights of AdaIN's decoder")
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'shape_bias', help='logs')
    parser.add_argument('--results', type=Path, default=RESULTS)
    parser.add_argument('--table', action='store_true', help='print the means of what is there, and train nothing')
    args = parser.parse_args()
    done = {(record['row'], record['seed'], record['epochs']) for record in read(args.results)}
    wanted = [(row, seed) for seed in args.seeds for row in args.rows if (row, seed, args.epochs) not in done]
    for row, seed in [] if args.table else wanted:
        record = measure(row, seed, args.epochs, args.out.resolve(), (args.encoder, args.decoder))
        with args.results.open('a') as stream:
            stream.write(json.dumps(record) + '\n')
        print(json.dumps(record), flush=True)
    print(table(read(args.results)))


if __name__ == '__main__':
    main()
