"""The loop of docs/export.md learns with policies of mmdas where PyTorch alone is installed."""

import re
from pathlib import Path

import pytest
from test_optional_packages import run

from mmdas.search.augmentation import AugmentPolicy, trivial_augment
from mmdas.search.das import Policy

PAGE = Path(__file__).parents[2] / 'docs' / 'export.md'
(LOOP,) = re.findall(r'^```python\n(# own_loop.py\n.*?)^```', PAGE.read_text(), re.MULTILINE | re.DOTALL)
ABSENT = ('mmengine', 'mmcv', 'mmseg', 'mmpretrain', 'torchvision', 'numpy', 'scipy', 'cv2', 'PIL', 'sklearn')
USE = """
torch.manual_seed(0)
labels = torch.zeros(32, 1, 12, 12, dtype=torch.long)
labels[:, :, 3:9, 3:9] = 1
images = 0.2 + 0.6 * labels.expand(-1, 3, -1, -1) + 0.1 * torch.rand(32, 3, 12, 12)
scenes = Scenes(images, labels, AUGMENTATION)
image, label = scenes[0]
assert image.shape == (3, 12, 12) and label.shape == (1, 12, 12)
assert any(not torch.equal(scenes[0][0], image) for _ in range(5))
torch.manual_seed(0)
network = Frames(torch.nn.Conv2d(3, 2, 3, padding=1), FRAMES)
assert network(images).shape == (32, 2, 12, 12)
losses = train(network, scenes, epochs=4, lr=0.1)
assert sum(losses[-8:]) < 0.8 * sum(losses[:4]) * 2, losses
assert not {'mmengine', 'mmdas.models', 'mmdas.registry'} & set(sys.modules)
"""


def without_equalize() -> AugmentPolicy:
    """TrivialAugment but for the one operation that torchvision computes."""
    data = trivial_augment((12, 12)).to_dict()
    (stage,) = data['sub_policies'][0]['stages']
    stage['choices'] = [choice for choice in stage['choices'] if choice['operation'] != 'equalize']
    return AugmentPolicy.from_dict(data, 'TrivialAugment')


@pytest.mark.slow
def test_loop_of_the_page_learns_where_pytorch_alone_is_installed(tmp_path: Path):
    without_equalize().save(tmp_path / 'augmentation.json')
    Policy.random(3, space='paper').save(tmp_path / 'frames.json')
    names = f'AUGMENTATION, FRAMES = {str(tmp_path / "augmentation.json")!r}, {str(tmp_path / "frames.json")!r}\n'
    done = run(LOOP + names + USE, *ABSENT)
    assert done.returncode == 0, done.stderr
