"""What is seen of a config and of a run: its config, curves, confusions and cost, and the next command."""

import json
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from tool_scripts import load_script
from torch import nn

from mmdas.apis import DASOptions, load_config, measure_complexity
from mmdas.commands import analyze, main
from mmdas.engine.metrics import SegConfusionMatrix
from mmdas.visualization.report import read_run

CONFIG = str(Path(__file__).parents[2] / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py')
CLS = 'resnet18_8xb16_cifar10'
TINY = {
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.decode_head.in_channels': 32,
    'model.decode_head.channels': 32,
    'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 2,
    'default_hooks.logger.interval': 1,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}


def words_of(line: str) -> list[str]:
    """Of a line ``next: mmdas ...``, what stands behind ``mmdas``."""
    assert line.startswith('next: mmdas ')
    return shlex.split(line)[2:]


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Work directory of a tiny training, and the lines that its command has printed at the end."""
    folder = tmp_path_factory.mktemp('trained')
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(folder / 'data', num_train=4, num_val=3)
    roots = {f'{part}_dataloader.dataset.data_root': folder / 'data' for part in ('train', 'val', 'test')}
    options = [f'{key}={value}' for key, value in {**TINY, **roots}.items()]
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr('builtins.print', lambda *texts, **_: printed.append(' '.join(map(str, texts))))
        assert main(['train', CONFIG, '--work-dir', str(folder / 'run'), '--cfg-options', *options]) == 0
    return folder / 'run', printed


@pytest.fixture(scope='module')
def tested(trained: tuple[Path, list[str]]) -> tuple[list[str], dict[str, str]]:
    """The test that the training names, and the scores that it prints."""
    words, printed = words_of(trained[1][-1]), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('builtins.print', lambda *texts, **_: printed.append(' '.join(map(str, texts))))
        assert main(words) == 0
    return words, dict(line.split(': ') for line in printed if line.startswith(('mIoU: ', 'aAcc: ')))


def test_the_next_command_of_a_training_tests_what_it_has_left(trained, tested):
    folder, _ = trained
    assert tested[0] == ['test', str(folder / Path(CONFIG).name), str(folder / 'iter_4.pth')]
    assert set(tested[1]) == {'mIoU', 'aAcc'}


def test_confusions_of_a_segmentation_give_its_metric(tested, tmp_path: Path, capsys):
    words, scores = tested
    assert main(['analyze', 'confusion', *words[1:], '--out-dir', str(tmp_path)]) == 0
    found = json.loads((tmp_path / 'confusion.json').read_text())
    counts = torch.tensor(found['counts'], dtype=torch.float64)
    assert counts.sum() == 3 * 48 * 48 and len(found['classes']) == 11
    right, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
    assert float(scores['aAcc']) == pytest.approx(100 * (right.sum() / counts.sum()).item(), abs=0.006)
    assert float(scores['mIoU']) == pytest.approx(100 * (right / union)[union > 0].mean().item(), abs=0.006)
    assert (tmp_path / 'confusion.png').stat().st_size > 1000
    assert '11 classes: ' in capsys.readouterr().out


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
    (tmp_path / 'twin').symlink_to(folder)
    work_dirs = [str(folder), str(tmp_path / 'twin')]
    assert main(['analyze', 'logs', *work_dirs, '--out', str(tmp_path / 'curves.png')]) == 0
    out, run = capsys.readouterr().out, read_run(folder)
    assert f'loss of {folder}: {run.training["loss"][-1][1]:.5g} at the end' in out
    assert f'mIoU of {tmp_path / "twin"}: {run.validation["mIoU"][-1][1]:.5g} at the end' in out
    assert (tmp_path / 'curves.png').stat().st_size > 1000
    assert words_of(out.splitlines()[-1]) == ['report', *work_dirs]


def test_a_curve_that_nobody_logged_names_those_that_are_there(trained, capsys):
    assert main(['analyze', 'logs', str(trained[0]), '--keys', 'mIoUs']) == 2
    assert 'no run has logged mIoUs; did you mean mIoU?; logged are aAcc, ' in capsys.readouterr().err


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
    assert one.flops == pytest.approx(multiply_adds(model, torch.zeros(1, 3, 24, 16)), rel=5e-3)  # norms count, too
    assert one.parameters == three.parameters == sum(weights.numel() for weights in model.parameters())
    assert (three.flops, one.frames, three.frames) == (pytest.approx(3 * one.flops, rel=1e-3), 1, 3)


def test_flops_are_counted_at_the_size_of_the_training(capsys):
    assert main(['analyze', 'flops', CLS]) == 0
    assert 'for an image of 32 x 32 in 1 frames' in capsys.readouterr().out


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
