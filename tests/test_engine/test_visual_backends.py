"""Curves, pictures and clips of trainings and searches reach all backends of the toolboxes' visualizers."""

from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization import BaseVisBackend, Visualizer
from toy_search import NUM_FRAMES, SIZE, differences, final_state, iter_search, run
from toy_training import training

from mmdas.analysis import AnalysisError
from mmdas.engine import ClipHook, SaliencyHook
from mmdas.engine.log_image import log_image

INTERVAL = 12
CLIPS = dict(type='mmdas.ClipHook', interval=INTERVAL, images=2)
pytestmark = pytest.mark.slow
EDGES = ('0_2', '1_2', '0_3', '1_3', '2_3')


@VISBACKENDS.register_module()
class NotingVisBackend(BaseVisBackend):
    """Keeps what it is given, in its order."""

    rows: list[tuple[str, int, Any]] = []

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self.rows.clear()

    def _init_env(self) -> None:
        pass

    @property
    def experiment(self) -> list:
        return self.rows

    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs) -> None:
        self.rows.append(('scalars', step, dict(scalar_dict)))

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        self.rows.append((name, step, image))


def shown(cfg: Config, backend: str, *hooks: dict) -> Config:
    """A config with a visualizer of its toolbox."""
    kind = 'SegLocalVisualizer' if cfg.default_scope == 'mmseg' else 'UniversalVisualizer'
    cfg.visualizer = dict(type=kind, vis_backends=[dict(type='LocalVisBackend'), dict(type=backend)])
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    return cfg


def pictures(rows: list) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, step, image in rows:
        if name != 'scalars':
            assert image.dtype == np.uint8 and image.shape[2] == 3
            found.setdefault(name, []).append(step)
    return found


@pytest.fixture(scope='module')
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runner, list]:
    """A search with pictures of clips, and what its backend got."""
    runner = run(shown(iter_search(tmp_path_factory.mktemp('search')), 'NotingVisBackend', CLIPS), pictures=True)
    return runner, list(NotingVisBackend.rows)


def test_a_search_gives_curves_of_its_mixtures(searched: tuple[Runner, list]):
    runner, rows = searched
    policy = [(step, row) for name, step, row in rows if name == 'scalars' and 'policy/mean_entropy' in row]
    assert [step for step, _ in policy] == list(range(1, runner.max_iters + 1))
    for _, row in policy:
        for edge in EDGES:
            mixture = [row[f'policy/edge_{edge}/{name}'] for name in ('identity', 'rotate', 'noise')]
            entropy = -sum(weight * np.log(weight) for weight in mixture if weight)
            assert sum(mixture) == pytest.approx(1, abs=1e-5)
            assert row[f'policy/edge_{edge}/entropy'] == pytest.approx(entropy, abs=1e-5)


def test_a_search_gives_pictures_of_its_policy_and_clips(searched: tuple[Runner, list]):
    runner, rows = searched
    last = runner.max_iters
    clips = sorted({1, *range(INTERVAL, last + 1, INTERVAL), last})
    ends = dict.fromkeys(('policy', 'policy_mixtures', 'policy_course'), [last])
    assert pictures(rows) == {'clips': clips, **ends}
    assert sorted(int(path.stem[5:]) for path in Path(runner.work_dir, 'clips').iterdir()) == clips
    first = next(image for name, _, image in rows if name == 'clips')
    assert first.shape == (2 * SIZE, NUM_FRAMES * SIZE, 3)


def test_a_row_of_the_policy_follows_the_iteration_that_it_belongs_to(searched: tuple[Runner, list]):
    """WandB takes no step: what a row belongs to is the ``iter`` that was logged before."""
    known = None
    for name, step, row in searched[1]:
        if name == 'scalars' and 'iter' in row:
            known = row['iter']
        assert known == step


def test_a_search_with_clips_is_the_search_without(searched: tuple[Runner, list], tmp_path: Path):
    assert differences(final_state(run(iter_search(tmp_path))), final_state(searched[0])) == []


def test_clips_of_a_training_hold_its_images_and_change_nothing(tmp_path: Path):
    states = []
    for name, hooks in (('without', ()), ('with', (CLIPS,))):
        runner = run(shown(training(tmp_path / name, True, 0), 'NotingVisBackend', *hooks))
        states.append({'model': runner.model.state_dict(), 'random': torch.get_rng_state()})
    assert differences(*states) == []
    (sheet, *_) = [image for name, step, image in NotingVisBackend.rows if name == 'clips']
    assert sheet.shape == (2 * SIZE, NUM_FRAMES * SIZE, 3)
    frames = np.split(sheet, NUM_FRAMES, axis=1)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)  # of a clip of equal frames
    upper, lower = frames[0][: SIZE // 2].mean(), frames[0][SIZE // 2 : SIZE].mean()
    assert abs(upper - lower) > 50  # one half of a toy image is bright
    assert cv2.imread(str(tmp_path / 'with' / 'clips' / 'iter_1.png')).std() > 20


def test_unusable_options_and_models_are_told(tmp_path: Path):
    with pytest.raises(ValueError, match='interval is 0 and images 4'):
        ClipHook(interval=0)
    wrong = dict(interval='500'), dict(interval=2.5), dict(images='all'), dict(images=0), dict(channel_order='BGR')
    for hook, options in product((ClipHook, SaliencyHook), wrong):
        ((name, value),) = options.items()
        with pytest.raises(ValueError, match=f'{hook.__name__}.*{name} .*{value}'):
            hook(**options)
    cfg = shown(training(tmp_path, True, 0), 'NotingVisBackend', CLIPS)
    cfg.model.data_preprocessor = dict(type='ClsDataPreprocessor', num_classes=2)
    cfg.model.backbone, cfg.model.head = cfg.model.backbone.backbone, cfg.model.head.head
    with pytest.raises(AnalysisError, match=r'ClipHook draws clips, but ClsDataPreprocessor makes none'):
        run(cfg)


def test_tensorboard_holds_curves_and_clips(tmp_path: Path):
    events = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator', reason='tensorboard is not installed'
    )
    runner = run(shown(iter_search(tmp_path), 'TensorboardVisBackend', CLIPS), pictures=True)
    limits = {'images': 0, 'scalars': 0}
    found = events.EventAccumulator(str(tmp_path / runner.timestamp / 'vis_data'), limits).Reload()
    last = runner.max_iters
    assert {'loss', 'policy_loss', 'policy/edge_0_2/rotate'} <= set(found.Tags()['scalars'])
    assert [event.step for event in found.Scalars('policy/mean_entropy')] == list(range(1, last + 1))
    assert [event.step for event in found.Scalars('loss')] == list(range(1, last + 1))
    assert {*found.Tags()['images']} == {'clips', 'policy', 'policy_mixtures', 'policy_course'}
    first = found.Images('clips')[0]
    assert (first.step, first.width, first.height) == (1, NUM_FRAMES * SIZE, 2 * SIZE)


class MLflowVisBackend(NotingVisBackend):
    """Takes the kind of file from the name of an image, and leaves its step out, as that of MMEngine."""

    rows: list[tuple[str, int, Any]] = []

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        assert Path(name).suffix == '.png'
        super().add_image(name, image)


@pytest.mark.parametrize('name', ['MLflowVisBackend', 'DVCLiveVisBackend'])
def test_images_have_names_of_their_own_where_the_step_is_left_out(name: str, tmp_path: Path):
    by_name = type(name, (MLflowVisBackend,), {})(str(tmp_path))
    visualizer = Visualizer(name, vis_backends=[by_name, NotingVisBackend(str(tmp_path))])
    image = np.zeros((4, 4, 3), np.uint8)
    for step in (10, 20):
        log_image(visualizer, 'clips', image, step)
    assert pictures(by_name.rows) == {'clips_10.png': [0], 'clips_20.png': [0]}
    assert pictures(NotingVisBackend.rows) == {'clips': [10, 20]}
