"""Try the conversion on every installed config: ``python -m benchmarks.coverage``.

Every config is converted to that of its search. Those whose models differ are built, and their search takes one
step of the policy and one of the weights on two random images of 64 x 64 pixels. ``docs/coverage.md`` is written from
the outcome.
"""

import argparse
import hashlib
import json
import os
import re
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmengine.utils import get_installed_path  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402
from torch import nn  # noqa: E402

from mmdas.apis import (  # noqa: E402
    ConversionError,
    DASOptions,
    adapt_to_device,
    check_conversion,
    convert,
    find_config,
    iterate_dicts,
    read_config,
)
from mmdas.hosts import host_scopes  # noqa: E402
from mmdas.registry import MODELS  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / 'benchmarks' / 'results' / 'coverage.json'
PAGE = ROOT / 'docs' / 'coverage.md'
SIZES = (64, 224, 384, 512)  # the next where one is too small for the model; after the first the one it is made for
STAGES = ('read', 'convert', 'build', 'step', 'ok')


def installed_configs(toolbox: str) -> list[str]:
    """Names of all configs of a toolbox that are not there to be inherited from alone."""
    folder = Path(get_installed_path(toolbox), '.mim', 'configs')
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob('*.py')))
    return [f'{toolbox}::{name}' for name in names if '_base_' not in name and '/benchmarks/' not in name]


def attempt(name: str, known: dict[str, dict]) -> dict:
    """How far a config comes: the stage at which it stops ('ok' if at none) and why."""
    stage = 'read'
    try:
        cfg = read_config(find_config(name)[0])
        stage = 'convert'
        search = convert(cfg, 'search', DASOptions(frames=2))
        check_conversion(search)
        key = model_key(search)
        if key not in known:
            stage = 'build'
            known[key] = run_search_step(search) | {'like': name}
        return {**known[key]}
    except Exception as error:
        message = ' '.join(str(error).split()) or type(error).__name__
        if not isinstance(error, ConversionError) and stage != 'read':
            where = traceback.extract_tb(error.__traceback__)[-1]
            message = f'{type(error).__name__}: {message} ({Path(where.filename).name}:{where.lineno})'
        return {'stage': stage, 'reason': without_folders(message)[:300]}


def without_folders(message: str) -> str:
    """A message that names no folder of this machine."""
    return re.sub(r'(?<![\w.])/[\w.-]+/[\w./-]*', '...', message)


def model_key(cfg: Config) -> str:
    """What tells models apart: not the weights that they start from, nor numbers that only scale a loss or a result."""
    model = cfg.model.to_dict()
    wrapper = cfg.optim_wrapper.to_dict()['weights']
    for _, node in iterate_dicts(model):
        for key in ('pretrained', 'init_cfg', 'test_cfg', 'mean', 'std', 'size', 'class_weight', 'loss_weight'):
            node.pop(key, None)
    text = json.dumps([model, wrapper.get('constructor'), wrapper.get('paramwise_cfg')], sort_keys=True, default=str)
    return hashlib.sha1(text.encode()).hexdigest()


def sizes_of(cfg: Config) -> list[int]:
    """Sizes of images to try: some transformers take images of the size alone that they are made for."""
    backbone = cfg.model.backbone
    own = backbone.get('backbone', backbone).get('img_size') or SIZES[0]
    return list(dict.fromkeys((SIZES[0], own if isinstance(own, int) else own[0], *SIZES[1:])))


def run_search_step(cfg: Config, sizes: Sequence[int] | None = None) -> dict:
    """Build a search's model and take a step of the policy and one of the weights."""
    sizes = sizes or sizes_of(cfg)
    adapt_to_device(cfg)
    without_pretrained_weights(cfg.model)
    for wrapper in (cfg.optim_wrapper.weights, cfg.optim_wrapper.policy):
        if wrapper.get('type') == 'AmpOptimWrapper':
            for key in ('loss_scale', 'dtype'):
                wrapper.pop(key, None)
            wrapper['type'] = 'OptimWrapper'
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        try:
            model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model})
            optimizers = build_optim_wrapper(model, cfg.optim_wrapper)
            check_start(model)
        except Exception as error:
            return failure('build', error)
        for size in sizes:
            try:
                model.train()
                for part in ('policy', 'weights'):
                    losses = model.train_step(random_batch(cfg, model, size), optimizers[part])
                    if not all(torch.isfinite(value).all() for key, value in losses.items() if 'loss' in key):
                        raise FloatingPointError(f'the loss is {losses}')
                if model.data_preprocessor.cell.logits.grad is None:
                    raise AssertionError('no gradient reaches the policy')
                return {'stage': 'ok', 'size': size}
            except NotImplementedError as error:  # no other size would help
                return failure('step', error)
            except Exception as error:
                problem = failure('step', error)
    return problem


def check_start(model: nn.Module) -> None:
    """Initialise a model, whose fusion must then be what its constructor made.

    Raises:
        AssertionError: if the host's initialisation reached a fusion.
    """
    fusion = getattr(model.backbone, 'fusion', nn.Module())
    start = {name: tensor.clone() for name, tensor in fusion.state_dict().items()}
    model.init_weights()
    changed = [name for name, tensor in fusion.state_dict().items() if not torch.equal(tensor, start[name])]
    if changed:
        raise AssertionError(f'the fusion does not start as the identity: {changed[:3]}')


def failure(stage: str, error: Exception) -> dict:
    """Record of an error."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = ' '.join(str(error).split())[:220]
    return {'stage': stage, 'reason': f'{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})'}


def without_pretrained_weights(model: dict) -> None:
    """Start from random weights, since nothing can be fetched for a trial, and do not pad to the host's crop."""
    for _, node in iterate_dicts(model):
        if node.get('pretrained') is not None:
            node['pretrained'] = None
        if 'DataPreProcessor' in str(node.get('type')):
            node.update(size=None, size_divisor=32, test_cfg=None)
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None


def random_batch(cfg: Config, model: nn.Module, size: int) -> dict:
    """Two random images with labels."""
    inputs = [torch.randint(256, (3, size, size), dtype=torch.uint8) for _ in range(2)]
    if cfg.default_scope == 'mmpretrain':
        head = cfg.model.head.get('head', cfg.model.head)
        classes = head.get('num_classes') or getattr(model.head, 'num_classes', 2)
        samples = [
            DataSample().set_gt_label(index % classes).set_gt_score(torch.ones(classes) / classes) for index in range(2)
        ]
        return {'inputs': inputs, 'data_samples': samples}
    samples = []
    heads = model.decode_head if isinstance(model.decode_head, nn.ModuleList) else [model.decode_head]
    for _ in inputs:
        shape = (size, size)
        meta = dict(ori_shape=shape, img_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0), flip=False)
        sample = SegDataSample(metainfo=meta)
        labels = torch.randint(heads[-1].num_classes, (1, size, size))
        sample.gt_sem_seg = PixelData(data=labels)
        sample.gt_edge_map = PixelData(data=(labels > 0).long())
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def main() -> None:
    """Run the trial and write its record and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='part of the names of the configs to try')
    parser.add_argument('--failed', action='store_true', help='try again what failed, and keep the record of the rest')
    parser.add_argument('--page', action='store_true', help='write the page from the record, and try nothing')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    record = read_record(RECORD)
    if not args.page:
        known: dict[str, dict] = {}
        for name in (name for toolbox in host_scopes() for name in installed_configs(toolbox)):
            if args.only not in name or (args.failed and record.get(name, {}).get('stage') == 'ok'):
                continue
            start = time.perf_counter()
            with silence():
                record[name] = attempt(name, known)
            print(
                f'{time.perf_counter() - start:4.1f} s {name}: {" ".join(map(str, record[name].values()))}', flush=True
            )
            RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1) + '\n')
    PAGE.write_text(page(dict(sorted(record.items()))))


def read_record(path: Path) -> dict[str, dict]:
    """Outcomes of an earlier trial, in the order of the names."""
    return dict(sorted(json.loads(path.read_text()).items())) if path.is_file() else {}


@contextmanager
def silence() -> Iterator[None]:
    """Keep what the toolboxes print out of the protocol."""
    with open(os.devnull, 'w') as sink, redirect_stdout(sink), redirect_stderr(sink):
        yield


def page(record: dict[str, dict]) -> str:
    """The page of the outcome."""
    rows = []
    for toolbox in host_scopes():
        reached = [
            STAGES.index(outcome['stage']) for name, outcome in record.items() if name.startswith(f'{toolbox}::')
        ]
        counts = [sum(stage > limit for stage in reached) for limit in range(4)]
        rows.append(f'| {toolbox} | {len(reached)} | {" | ".join(map(str, counts))} |')
    reasons: dict[str, list[str]] = {}
    for name, outcome in record.items():
        if outcome['stage'] != 'ok':
            reasons.setdefault(explain(outcome), []).append(name)
    groups = [
        f'### {reason}\n\n{len(names)}: {", ".join(f"`{name}`" for name in names)}'
        for reason, names in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return PAGE_TEXT.format(table='\n'.join(rows), groups='\n\n'.join(groups))


def explain(outcome: dict) -> str:
    """The reason of a failure, without what differs from config to config."""
    reason = outcome['reason']
    for pattern, text in EXPLANATIONS:
        match = re.search(pattern, reason)
        if match:
            return match.expand(text)
    return f'{outcome["stage"]}: {reason}'


EXPLANATIONS = (
    (r'^(\w+) has no residual block', r'\1 has no residual block in which frames could be fused'),
    (r'^model\.type is (\w+)', r'\1 is no segmentor or classifier with a prediction to pool'),
    (r'the model has no (\w+)', r'The model has no \1'),
    (r'install onedl-mmcv for (\w+) ops', r'\1 is a compiled operator of mmcv, which is not installed'),
    (r'(?i)mmdet', 'MMDetection is needed, which is not installed'),
    (r'(?i)no module named .?(\w+)', r'The package \1 is needed, which is not installed'),
    (r'TemporalPoolingHead pools maps of logits, but (\w+)', r'\1 predicts no map of logits'),
    (r'cannot be trained', 'A config for testing alone'),
    (r'^not tried', 'Not tried again since transformers fuse'),
)
PAGE_TEXT = """# Which installed configs become DAS configs

The conversion was tried on every config that MMSegmentation and MMPretrain install, except those in `_base_` and
`benchmarks` folders. *Converted*: the config of the search was made, and its backbone and heads can be built. *Built*:
so was its model, with both optimisers, and its initialisation left the fusion as the identity. *Stepped*: it took one
step of the policy and one of the weights on two random images (with soft labels in classification), with finite losses
and a gradient in the policy; data sets, schedules and selections were not run.
Configs with equal models and optimisers share one trial. T = 2, GSF, no pretrained weights, CPU.

| toolbox | configs | read | converted | built | stepped |
| --- | --- | --- | --- | --- | --- |
{table}

The command is `python -m benchmarks.coverage`, the record [coverage.json](../benchmarks/results/coverage.json).

Where a backbone has no residual block, neither of convolutions nor of a transformer, `--fusion none` still gives clips
and temporal pooling, and `--sites path.of.conv ...` fuses at convolutions that you name.

## What cannot, and why

{groups}
"""


if __name__ == '__main__':
    main()
