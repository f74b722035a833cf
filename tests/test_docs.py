"""The pages for newcomers say what is so: configs build, code runs, policies load, and paths lead somewhere."""

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from runpy import run_path
from shlex import split

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, DefaultScope
from own_operations import forgotten_afterwards

import mmdas.apis
from mmdas.apis import (
    adapt_to_device,
    check_conversion,
    check_num_frames,
    find_config,
    known_faults,
    load_config,
)
from mmdas.commands.main import COMMANDS
from mmdas.commands.parser import Parser
from mmdas.models.features import choose_sites
from mmdas.search import load_policy
from mmdas.search.das import Policy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')), *sorted((ROOT / 'configs').glob('**/README.md'))]
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```', re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r'# (\w+\.py)\n')
PATH = re.compile(r'\b(?:tools|configs|tests|mmdas|benchmarks|docs)/[\w/.-]*\w\.(?:py|sh|md|yml)\b')
LINK = re.compile(r'\]\(([^)#]+)\)')
ANCHOR = re.compile(r'\]\(([^)#\s]*)#([^)\s]+)\)')
HEADING = re.compile(r'^#+ (.+)$', re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for page in PAGES for found, text in BLOCK.findall(page.read_text()) if found == language]


FILES = {FILE_NAME.match(text)[1]: text for text in blocks('python') if FILE_NAME.match(text)}
TAUGHT = [name for name, text in FILES.items() if 'DistillHook' in text]  # of plain models
REGULARISED = [name for name, text in FILES.items() if 'FeatureHook' in text]  # of plain models
OF_READERS = [
    name for name, text in FILES.items() if "data_root='data/mine'" in text
]  # plain configs of a reader's data
CONFIGS = [
    name for name, text in FILES.items() if '_base_' in text and name not in (*TAUGHT, *REGULARISED, *OF_READERS)
]  # the others are modules that configs import
VIEWS = [text for text in blocks('python') if 'predict_views' in text]
FIELDS = [text for text in blocks('python') if 'mmdas.analysis.receptive_field' in text]
OBJECTS = [text for text in blocks('python') if 'mmdas.analysis' in text and text not in FIELDS]
KEPT = [text for text in blocks('python') if 'draw_regions' in text]
RUNS = [text for text in blocks('python') if 'build_runner' in text or 'read_run' in text]  # see test_look_at_runs.py
OWN = [*VIEWS, *KEPT, *FIELDS, *OBJECTS, *RUNS]  # with tests of their own
OTHERS = [text for text in blocks('python') if text not in OWN and not FILE_NAME.match(text)]
SNIPPETS = [text for text in OTHERS if 'Inferencer' not in text]
INFERENCE = [text for text in blocks('python') if 'Inferencer' in text]
# Scripts that are verbs of the command.
VERBS = {
    'tools/train.py': 'train',
    'tools/test.py': 'test',
    'tools/misc/add_das.py': 'convert',
    'tools/visualization/browse_clip.py': 'browse',
}

PLACEHOLDERS = ('CONFIG', 'my_config.py')  # a config of the reader


def commands() -> Iterator[list[str]]:
    """The words of every command of the pages, with the values of shell variables."""
    variables: dict[str, str] = {}
    for text in (*blocks('bash'), *blocks('sh')):
        for line in text.replace('\\\n', ' ').splitlines():
            line = re.sub(r'\$\(cat [^)]*\)', 'last.pth', line)
            for name, value in variables.items():
                line = line.replace(f'${name}', value)
            words = split(line, comments=True)
            if len(words) == 1 and re.fullmatch(r'\w+=\S+', words[0]):
                variables.update([words[0].split('=', 1)])
            elif words[:1] == ['for']:
                variables[words[1]] = words[3].rstrip(';')
            elif words[:1] == ['mmdas'] or (words[:1] == ['python'] and words[1].startswith('tools/')):
                yield words


OF_VERBS = sorted(
    {(words[1], *words[2:]) for words in commands() if words[0] == 'mmdas'}
    | {(VERBS[words[1]], *words[2:]) for words in commands() if words[1] in VERBS}
)
OF_SCRIPTS = sorted({tuple(words[1:]) for words in commands() if words[0] == 'python' and words[1] not in VERBS})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Working directory with the configs and modules of the pages and the policy that they name."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    Policy.random(4).save(tmp_path / 'policy.json')
    monkeypatch.chdir(tmp_path)
    with forgotten_afterwards():
        sys.path.insert(0, str(tmp_path))
        yield tmp_path


def test_pages_have_configs_of_both_toolboxes_and_of_searches():
    assert {'my_das_seg.py', 'my_das_cls.py', 'my_search.py', 'my_own_search.py'} <= set(CONFIGS)
    assert SNIPPETS


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.slow
def test_config_of_the_pages_builds_a_model_that_predicts(folder: Path, name: str):
    cfg = load_config(folder / name)
    check_num_frames(cfg)
    adapt_to_device(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build({'data_preprocessor': cfg.get('data_preprocessor'), **cfg.model}).eval()
        if 'search' in name:
            assert set(build_optim_wrapper(model, cfg.optim_wrapper).keys()) == {'weights', 'policy'}
    with torch.no_grad():
        images = torch.rand(1, 3, 64, 64)
        clip = model.data_preprocessor.to_clip(images)
        predictions = model(images if model.data_preprocessor.gives_images else clip, mode='tensor')
    frames = 1 if any(word in FILES[name] for word in ('Keep', 'StyleAugment', 'PolicyAugment')) else 4
    assert clip.shape == (1, 3 * frames, 64, 64)
    assert len(predictions) == 1


@pytest.mark.parametrize('name', OF_READERS)
@pytest.mark.slow
def test_config_of_a_reader_becomes_one_of_das_and_meets_no_known_fault(folder: Path, name: str):
    assert known_faults(load_config(folder / name)) == []
    check_conversion(load_config(folder / name, das='search'))


@pytest.mark.parametrize('name', TAUGHT)
def test_hook_of_the_pages_has_losses_of_the_logits_of_a_plain_model(folder: Path, name: str):
    cfg = load_config(folder / name)
    (hook,) = (hook for hook in cfg.custom_hooks if hook.type == 'mmdas.DistillHook')
    losses = [MODELS.build(loss) for loss in HOOKS.build(hook).losses]
    student, teacher = torch.randn(2, 1, 5, 4, 4)
    assert all(loss(student, teacher) > 0 for loss in losses)
    assert type(cfg.model.type) is str and not cfg.model.type.startswith('mmdas')


@pytest.mark.parametrize('name', REGULARISED)
def test_regularisers_of_the_pages_have_their_sites_in_a_plain_model(folder: Path, name: str):
    cfg = load_config(folder / name)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        backbone, head = MODELS.build({**cfg.model.backbone, 'norm_cfg': dict(type='BN')}), cfg.model.decode_head
        assert MODELS.build(head.loss_decode).smoothing > 0
    hooks = [HOOKS.build(hook) for hook in cfg.custom_hooks if hook.type == 'mmdas.FeatureHook']
    assert all(len(choose_sites(backbone, hook.feature, hook.sites)) == 2 for hook in hooks)
    assert len(hooks) == 2


@pytest.mark.parametrize('code', [text for text in SNIPPETS if 'clip' in text])
def test_code_of_the_pages_runs_and_gives_a_clip(folder: Path, code: str):
    names = {'images': torch.rand(2, 3, 64, 64)}
    exec(code, names)
    assert names['clip'].shape == (2, 12, 64, 64)


@pytest.mark.parametrize('code', [text for text in SNIPPETS if 'clip' not in text])
def test_other_code_of_the_pages_augments_images_and_labels(folder: Path, code: str):
    names: dict = {}
    exec(code, names)
    assert names['images'].shape == (8, 3, 64, 64)
    assert names['labels'].shape == (8, 1, 64, 64) and names['labels'].dtype == torch.long


@pytest.mark.parametrize('code', KEPT)
def test_code_of_the_pages_covers_a_region_of_each_image(code: str):
    names: dict = {}
    exec(code, names)
    changed = (names['covered'] != names['images']).any(1)
    assert changed.flatten(1).sum(1).tolist() == [16 * 16] * 4


@pytest.mark.parametrize('code', VIEWS)
def test_code_of_the_pages_averages_views(code: str):
    names: dict = {}
    exec(code, names)
    torch.testing.assert_close(names['probabilities'].sum(1), torch.ones(4, 24, 32))


@pytest.mark.parametrize('code', OBJECTS)
def test_code_of_the_pages_finds_an_object(code: str):
    names: dict = {}
    exec(code, names)
    left, top, right, bottom = names['found'].box
    assert 0 <= left < right <= 64 and 0 <= top < bottom <= 48


@pytest.mark.parametrize('code', FIELDS)
def test_code_of_the_pages_measures_a_field(code: str, capsys: pytest.CaptureFixture):
    names: dict = {}
    exec(code, names)
    fields = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert fields == ['7', '11', '19']
    assert 0 < names['shape'].area <= 19 * 19


@pytest.mark.parametrize('code', INFERENCE)
def test_inference_of_the_pages_calls_what_there_is(code: str, monkeypatch: pytest.MonkeyPatch):
    real, called = mmdas.apis.Inferencer, []

    class Recorder:
        def __init__(self, *args, **kwargs) -> None:
            inspect.signature(real).bind(*args, **kwargs)

        def __call__(self, *args, **kwargs) -> None:
            inspect.signature(real.__call__).bind(self, *args, **kwargs)
            called.append(args)

    monkeypatch.setattr(mmdas.apis, 'Inferencer', Recorder)
    exec(code, {})
    assert called


@pytest.mark.parametrize('text', blocks('json'))
def test_policy_of_the_pages_is_a_policy(folder: Path, text: str):
    Path('page.json').write_text(text)
    assert load_policy('page.json').operations


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_and_link_of_a_page_leads_somewhere(page: Path):
    text = page.read_text()
    paths = {ROOT / path for path in PATH.findall(re.sub(r'\]\([^)]*\)', ']', text))}
    links = {page.parent / link for link in LINK.findall(text) if '://' not in link}
    assert sorted(str(path) for path in paths | links if not path.exists()) == []


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = [re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading) for heading in HEADING.findall(text)]
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_into_a_page_leads_to_one_of_its_headings(page: Path):
    links = [(page.parent / path if path else page, anchor) for path, anchor in ANCHOR.findall(page.read_text())]
    inner = [(path, anchor) for path, anchor in links if path.suffix == '.md' and '://' not in str(path)]
    assert [f'{path}#{anchor}' for path, anchor in inner if path.exists() and anchor not in anchors(path)] == []


@pytest.mark.parametrize('words', OF_VERBS, ids=' '.join)
def test_command_of_the_pages_has_its_options_and_its_config(words: tuple[str, ...], folder: Path):
    module = import_module(f'mmdas.commands.{words[0].replace("-", "_")}')
    assert words[0] in COMMANDS
    parser = Parser(prog='mmdas')
    module.add_arguments(parser)
    config = getattr(parser.parse_args(words[1:]), 'config', None) or PLACEHOLDERS[0]
    if config not in PLACEHOLDERS and not (folder / config).is_file():
        assert find_config(ROOT / config if (ROOT / config).is_file() else config)


@cache
def help_of(script: str) -> str:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr(sys, 'argv', [script, '--help'])
        patch.syspath_prepend((ROOT / script).parent)
        with pytest.raises(SystemExit, match='^0$'):
            run_path(str(ROOT / script), run_name='__main__')
    return printed.getvalue()


@pytest.mark.parametrize('words', OF_SCRIPTS, ids=' '.join)
def test_script_of_the_pages_has_its_options(words: tuple[str, ...]):
    script, *given = words
    text = help_of(script)
    options = [word.partition('=')[0] for word in given if word.startswith('--')]
    assert [option for option in options if option not in text] == []
