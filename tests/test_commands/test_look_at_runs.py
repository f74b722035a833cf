"""What is seen of a config and of a run: its config, curves, confusions and cost, and the next command."""

import json
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmdas.apis import DASOptions, load_config, measure_complexity
from mmdas.commands import analyze, analyze_flops, cost, main
from mmdas.commands.parser import command_without
from mmdas.commands.test import next_command
from mmdas.engine.metrics import SegConfusionMatrix
from mmdas.visualization.report import read_run

PAGES = Path(__file__).parents[2] / 'docs'
BLOCK = re.compile(r'^```python\n(.*?)^```', re.MULTILINE | re.DOTALL)
CONFIG = 'my_segmentation.py'
CLS = 'resnet18_8xb16_cifar10'
# The tutorial's network at an eighth of its width, on small crops, for some steps.
TINY = {
    'model.backbone.init_cfg': None,
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.decode_head.in_channels': 64,
    'model.decode_head.channels': 8,
    'model.auxiliary_head.in_channels': 32,
    'model.auxiliary_head.channels': 8,
    'model.data_preprocessor.size': '(32,32)',
    'train_dataloader.dataset.pipeline.2.scale': '(48,48)',
    'train_dataloader.dataset.pipeline.3.crop_size': '(32,32)',
    'train_dataloader.batch_size': 2,
    'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 2,
    'default_hooks.logger.interval': 1,
    **{f'{part}_dataloader.num_workers': 0 for part in ('train', 'val', 'test')},
}


def code_of(page: str, word: str) -> str:
    """The one block of code of a page that holds a word."""
    (code,) = (text for text in BLOCK.findall((PAGES / page).read_text()) if word in text)
    return code


def make_cells(folder: Path, count: int = 10, side: int = 48) -> None:
    """Images of bright discs, and their masks, as the tutorial wants them."""
    rng = np.random.default_rng(0)
    for kind in ('images', 'masks'):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        mask = np.zeros((side, side), np.uint8)
        cv2.circle(mask, tuple(rng.integers(8, side - 8, 2).tolist()), 7, 1, -1)
        image = rng.integers(0, 90, (side, side, 3)) + 120 * mask[..., None]
        cv2.imwrite(str(folder / f'images/{number}.png'), image.astype(np.uint8))
        cv2.imwrite(str(folder / f'masks/{number}.png'), mask)


def words_of(line: str) -> list[str]:
    """Of a line ``next: mmdas ...``, what stands behind ``mmdas``."""
    assert line.startswith('next: mmdas ')
    return shlex.split(line)[2:]


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """Work directory of the tutorial's training, and the lines that its command has printed at the end."""
    home = tmp_path_factory.mktemp('reader')
    make_cells(home / 'data/mine')
    (home / CONFIG).write_text(code_of('tutorials/own_segmentation.md', CONFIG))
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        exec(code_of('tutorials/own_segmentation.md', 'make_lists.py'), {})
        with pytest.MonkeyPatch.context() as ears:
            ears.setattr('builtins.print', lambda *texts, **_: printed.append(' '.join(map(str, texts))))
            options = [f'{key}={value}' for key, value in TINY.items()]
            assert main(['train', CONFIG, '--cfg-options', *options]) == 0
        yield Path('work_dirs/my_segmentation'), printed


@pytest.fixture(scope='module')
def tested(trained: tuple[Path, list[str]]) -> tuple[list[str], dict[str, str]]:
    """The test that the training names, and the scores that it prints."""
    words, printed = words_of(trained[1][-1]), []
    saved = trained[0] / CONFIG
    before = saved.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('builtins.print', lambda *texts, **_: printed.append(' '.join(map(str, texts))))
        assert main(words) == 0
    assert saved.read_bytes() == before, 'the config of the training stays what it was'
    assert words_of(printed[-1]) == ['analyze', 'confusion', *words[1:]]
    return words, dict(line.split(': ') for line in printed if line.startswith(('mIoU: ', 'aAcc: ')))


def test_the_next_command_of_a_training_tests_what_it_has_left(trained, tested):
    folder, _ = trained
    assert tested[0] == ['test', str(folder / CONFIG), str(folder / 'iter_4.pth')]
    assert set(tested[1]) == {'mIoU', 'aAcc'}


def test_what_a_test_keeps_is_no_part_of_its_next_command():
    outputs = ['--out=x.pkl', '--show', '--show-dir', 'drawn', '--wait-time', '1']
    options = ['--cfg-options', 'a.b=1', 'c=[2,3]', '--tta']
    assert words_of(f'next: {next_command(["a.py", "b.pth", *outputs, *options])}')[2:] == ['a.py', 'b.pth', *options]


@pytest.mark.slow
def test_confusions_of_a_segmentation_give_its_metric(tested, tmp_path: Path, capsys):
    words, scores = tested
    assert main(['analyze', 'confusion', *words[1:], '--out-dir', str(tmp_path)]) == 0
    found = json.loads((tmp_path / 'confusion.json').read_text())
    counts = torch.tensor(found['counts'], dtype=torch.float64)
    assert counts.sum() == 2 * 48 * 48 and found['classes'] == ['background', 'cell']
    right, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
    assert float(scores['aAcc']) == pytest.approx(100 * (right.sum() / counts.sum()).item(), abs=0.006)
    assert float(scores['mIoU']) == pytest.approx(100 * (right / union)[union > 0].mean().item(), abs=0.006)
    assert (tmp_path / 'confusion.png').stat().st_size > 1000
    assert '2 classes: ' in capsys.readouterr().out


def test_confusion_matrix_counts_pairs_and_leaves_out_the_ignored():
    label, predicted = torch.randint(0, 4, (2, 3, 1, 9, 7))
    label[0, :, :2] = 255
    metric = SegConfusionMatrix(num_classes=4)
    metric.process(
        {}, [dict(pred_sem_seg={'data': p}, gt_sem_seg={'data': g}) for p, g in zip(predicted, label, strict=True)]
    )
    (found,) = metric.evaluate(3).values()
    for row in range(4):
        for column in range(4):
            assert found[row][column] == ((label == row) & (predicted == column)).sum()
    metric.process({}, [dict(pred_sem_seg={'data': predicted[0]}, gt_sem_seg={'data': label[1] + 3})])
    with pytest.raises(ValueError, match=r'labels \[4, 5, 6\] lie outside the 4 classes'):
        metric.evaluate(1)


def test_curves_end_where_the_logs_end(trained, tmp_path: Path, capsys):
    folder, _ = trained
    (tmp_path / 'twin').symlink_to(folder.resolve())
    work_dirs = [str(folder), str(tmp_path / 'twin')]
    assert main(['analyze', 'logs', *work_dirs, '--out', str(tmp_path / 'curves.png')]) == 0
    out, run = capsys.readouterr().out, read_run(folder)
    assert f'loss of {folder.name}: {run.training["loss"][-1][1]:.5g} at the end' in out
    assert f'mIoU of twin: {run.validation["mIoU"][-1][1]:.5g} at the end' in out
    assert (tmp_path / 'curves.png').stat().st_size > 1000
    assert words_of(out.splitlines()[-1]) == ['report', *work_dirs]


def test_a_curve_that_nobody_logged_names_those_that_are_there(trained, capsys):
    assert main(['analyze', 'logs', str(trained[0]), '--keys', 'mIoUs']) == 2
    assert 'no run has logged mIoUs; did you mean mIoU?; logged are aAcc, ' in capsys.readouterr().err


@pytest.mark.slow
def test_the_rest_of_the_tutorial_runs(trained, tmp_path: Path, capsys):
    folder, _ = trained
    assert main(['browse', CONFIG, '--num', '2', '--out', str(tmp_path / 'batch.png')]) == 0
    kept = [str(folder / CONFIG), str(folder / 'iter_4.pth')]
    assert main(['predict', *kept, 'data/mine/images/0.png', '--out-dir', str(tmp_path)]) == 0
    assert set(np.unique(cv2.imread(str(tmp_path / 'pred/0.png'), cv2.IMREAD_UNCHANGED))) <= {0, 1}


@pytest.mark.slow
def test_metrics_in_python_are_those_of_the_command(trained, tested, capsys):
    folder, _ = trained
    places = {'my_config.py': str(folder / CONFIG), 'plain.pth': str(folder / 'iter_4.pth')}
    names: dict = {}
    code = code_of('look_at_runs.md', 'build_runner')
    for name, place in places.items():
        code = code.replace(f"'{name}'", repr(place))
    exec(code, names)
    assert f'{names["metrics"]["mIoU"]:.2f}' == tested[1]['mIoU']
    exec(code_of('look_at_runs.md', 'read_run').replace('work_dirs/my_config', str(folder)), names)
    assert names['run'].scores['mIoU'] == names['run'].validation['mIoU'][-1][1]


def multiply_adds(model: nn.Module, image: torch.Tensor) -> int:
    """Of all convolutions and linear layers, by hand."""
    found = []

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        found.append(output.numel() * layer.weight[0].numel())

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    return sum(found)


def test_flops_of_a_plain_model_are_those_of_its_layers_and_those_of_frames_are_t_times_as_many():
    plain = load_config(CLS)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(plain.model).eval()
    one, three = (
        measure_complexity(cfg, (24, 16))
        for cfg in (plain, load_config(CLS, das='repeat', options=DASOptions(3, 'none')))
    )
    assert one.flops == multiply_adds(model, torch.zeros(1, 3, 24, 16))
    assert one.parameters == three.parameters == sum(weights.numel() for weights in model.parameters())
    assert (three.flops, one.frames, three.frames) == (3 * one.flops, 1, 3)


def test_flops_of_attention_count():
    arch = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
    backbone = dict(type='VisionTransformer', arch=arch, img_size=32, patch_size=8)
    head = dict(type='LinearClsHead', num_classes=3, in_channels=16)
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(type='ImageClassifier', backbone=backbone, head=head),
            data_preprocessor=dict(type='ClsDataPreprocessor', num_classes=3),
        )
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    tokens, attention = 4 * 4 + 1, 2 * (4 * 4 + 1) ** 2 * 16  # scores, and their sum over the values
    assert tokens == model.backbone.pos_embed.shape[1]
    expected = multiply_adds(model, torch.zeros(1, 3, 32, 32)) + 2 * attention
    assert measure_complexity(cfg, (32, 32)).flops == expected


def test_flops_are_counted_at_the_size_of_the_training(capsys):
    assert main(['analyze', 'flops', CLS]) == 0
    *_, counted, command = capsys.readouterr().out.splitlines()
    assert 'for an image of 32 x 32 in 1 frames' in counted
    assert words_of(command) == ['cost', CLS]


def test_what_comes_after_counting_and_measuring_has_their_options():
    of_both = ['my config.py', '--das', 'repeat', '--frames', '2', '--cfg-options', 'model.head.topk=(1,)']
    after_flops = command_without(analyze_flops.add_own_arguments, [*of_both, '--size', '32', '32'], 'mmdas', 'cost')
    cut_short = command_without(analyze_flops.add_own_arguments, [*of_both, '--si', '32', '32'], 'mmdas', 'cost')
    after_cost = command_without(cost.add_own_arguments, [*of_both, '--out=seconds.json'], 'mmdas', 'train')
    assert shlex.split(after_flops) == shlex.split(cut_short) == ['mmdas', 'cost', *of_both]
    assert shlex.split(after_cost) == ['mmdas', 'train', *of_both]


def test_printed_config_is_that_of_the_training(tmp_path: Path):
    out = tmp_path / 'printed.py'
    options = ['--das', 'repeat', '--frames', '2', '--augment', 'randaugment', '--out', str(out)]
    assert main(['print-config', CLS, *options]) == 0
    printed, made = Config.fromfile(out), load_config(CLS, das='repeat', options=DASOptions(2))
    assert printed.model.backbone.to_dict() == made.model.backbone.to_dict()
    assert printed.train_dataloader.to_dict() == made.train_dataloader.to_dict()
    assert [step.type for step in printed.data_preprocessor.augments] == ['mmdas.PolicyAugment']


def test_a_part_of_a_config_is_printed_by_its_key(capsys):
    assert main(['print-config', CLS, '--key', 'train_dataloader.dataset.pipeline.1']) == 0
    assert Config.fromstring(capsys.readouterr().out, '.py').item_1.type == 'RandomFlip'
    assert main(['print-config', CLS, '--key', 'model.backbon']) == 2
    assert 'model has no backbon; did you mean backbone?' in capsys.readouterr().err


@pytest.mark.parametrize('verb', analyze.ANALYSES)
def test_example_of_an_analysis_is_a_command_of_it(verb: str):
    parser = ArgumentParser()
    analyze.add_arguments(parser)
    module, _ = analyze.ANALYSES[verb]
    mmdas, command, *words = shlex.split(module.EXAMPLE.format(verb=verb))
    assert (mmdas, command) == ('mmdas', 'analyze')
    assert parser.parse_args(words).analysis == verb
