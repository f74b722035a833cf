"""What a command shows at its start: no line that says nothing, and each warning where it can be seen."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from tool_scripts import load_script

from mmdas.apis.early_warnings import collect_warnings, stop, tell_again
from mmdas.noise import LOGGED, PRINTED, WARNED, quiet_imports, silence_log, silence_warnings

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs/digit_scenes/fcn_r18-d4_digits-48x48.py'
LAST_OF_THE_HEAD = 'Hooks will be executed in the following order'


@pytest.fixture(scope='module')
def training(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that a short training prints whose command sets what nothing reads."""
    folder = tmp_path_factory.mktemp('training')
    load_script('dataset_converters/digit_scenes.py').make_digit_scenes(folder / 'data/digit_scenes', 4, 2)
    options = ['train_cfg.max_iters=1', 'my_number=3', 'train_dataloader.batch_size=2']
    command = [sys.executable, '-m', 'mmdas', 'train', str(CONFIG), '--cfg-options', *options]
    finished = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize('noise', [*PRINTED, *WARNED, *LOGGED, 'Warning: '])
def test_training_shows_nothing_that_says_nothing(training: str, noise: str):
    assert noise not in training


@pytest.mark.slow
def test_warning_before_the_log_is_told_again_after_its_head(training: str):
    head, _, rest = training.partition(LAST_OF_THE_HEAD)
    text = 'my_number has no effect, unless code of your own reads my_number'
    assert head.count(text) == rest.count(text) == 1
    assert 'WARNING - said before the log began:' in rest


@pytest.mark.slow
def test_warnings_of_the_data_stay(training: str):
    assert 'have no pixel in the' in training


def test_import_prints_what_else_there_is(capsys: pytest.CaptureFixture):
    with quiet_imports():
        print('before')
        print(PRINTED[0])
        print('after', PRINTED[0])
    assert capsys.readouterr().out == f'before\nafter {PRINTED[0]}\n'


def test_what_an_import_printed_before_it_failed_is_seen(capsys: pytest.CaptureFixture):
    with pytest.raises(ImportError), quiet_imports():
        print('a reason')
        raise ImportError
    assert capsys.readouterr().out == 'a reason\n'


@pytest.mark.parametrize(('text', 'module'), WARNED.items())
def test_python_warning_is_silent_from_its_own_module_alone(text: str, module: str):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        silence_warnings()
        for other in (module, f'{module}s', 'my_module'):
            warnings.warn_explicit(f'{text}, and more', UserWarning, 'file.py', 1, module=other)
        warnings.warn_explicit(f'so: {text}', UserWarning, 'file.py', 1, module=module)
    assert len(caught) == 3


def test_log_keeps_all_but_noise():
    logger, seen = logging.Logger('a'), []
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: seen.append(record.getMessage())
    silence_log(logger)
    silence_log(logger)
    for text in LOGGED:
        logger.warning(f'{text} and more')
        logger.error(text)
    logger.warning('a warning')
    assert seen == [*LOGGED, 'a warning'] and len(logger.filters) == 1


def test_early_warnings_are_told_again_once_each():
    early, later = MMLogger.get_current_instance(), logging.Logger('later')
    later.addHandler(handler := logging.Handler())
    seen = []
    handler.emit = lambda record: seen.append(record.getMessage())
    early.warning('of another run')
    collect_warnings()
    for text in ('first', 'second', 'first', LOGGED[0]):
        early.warning(text)
    early.info('no warning')
    tell_again(stop(early), later)
    early.warning('third')
    tell_again(stop(early), later)
    assert seen == ['said before the log began:\n  * first\n  * second']
