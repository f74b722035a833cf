"""The tasks of the tables: host config, metric, budget and what a run at this size needs."""

from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOSTS = Path(__file__).parent / 'hosts'


@dataclass(frozen=True)
class Task:
    """A data set with its plain config and the budget of a training.

    Args:
        host: file in ``hosts``.
        metric: of the score.
        iterations: of a training whose row has a budget of 1.
        search_iterations, search_warmup: of a search.
        what: one sentence for the page.
        momentum: smallest weight of a new iterate in the average of the weights.
        points: on a curve up to ``iterations``.
        device: the seconds' device.
    """

    host: str
    metric: str
    iterations: int
    search_iterations: int
    search_warmup: int
    what: str
    momentum: float = 1e-3
    points: int = 6
    device: str = 'CPU'

    @property
    def path(self) -> Path:
        """The plain config."""
        return HOSTS / f'{self.host}.py'


TASKS = {
    'cifar10': Task(
        host='cifar10',
        metric='accuracy/top1',
        iterations=2400,
        search_iterations=600,
        search_warmup=200,
        what=(
            'top-1 accuracy on all 5,000 test images of cifar10-jpeg; 2,000 training images (the first 200 of every '
            'class); ResNet-18 at quarter width with three stages, 32 x 32 pixels, batch 64, from scratch'
        ),
    ),
    'camvid': Task(
        host='camvid',
        metric='mIoU',
        iterations=2000,
        search_iterations=300,
        search_warmup=100,
        what=(
            'mIoU on the 133 test images at their full size; 123 training images (every third), scaled to 128 x 96, '
            'crops of 96 x 96, batch 8; FCN on ResNet-18 at quarter width with three stages and stride 8, from scratch'
        ),
        momentum=2e-3,
        points=3,
    ),
    'voc2012': Task(
        host='voc2012',
        metric='mIoU',
        iterations=2000,
        search_iterations=300,
        search_warmup=100,
        what=(
            'mIoU on the 216 validation images of the VOC 2012 subset at their full size; its 330 training images, '
            'scaled to a shorter side of 128, crops of 128 x 128, batch 8; the network of CamVid, from scratch'
        ),
        momentum=2e-3,
        points=3,
    ),
}
TASKS['camvid_narrow'] = replace(
    TASKS['camvid'],
    host='camvid_narrow',
    what='as CamVid, but the first stage of the network alone, whose receptive field is at most 55 x 55 pixels',
)
TASKS['camvid_pretrained'] = replace(
    TASKS['camvid'],
    host='camvid_pretrained',
    what=(
        'as CamVid, but the backbone starts from a classifier that was trained on all of cifar10-jpeg (`python -m '
        'benchmarks.accuracy.pretrain`)'
    ),
)
TASKS['distant_cues'] = replace(
    TASKS['camvid'],
    host='distant_cues',
    iterations=1000,
    search_iterations=1000,
    search_warmup=300,
    points=4,
    what=(
        'mIoU on 200 scenes in which the class of a pixel is a colour 31 to 43 pixels above it; 1,000 training scenes '
        'of 64 x 144 pixels, batch 8; the network of the narrow CamVid'
    ),
)
TASKS['cifar10_r18'] = Task(
    host='cifar10_r18',
    metric='accuracy/top1',
    iterations=3920,  # 20 epochs
    search_iterations=400,
    search_warmup=100,
    device='GPU',
    what=(
        'top-1 accuracy on all 5,000 test images of cifar10-jpeg; all 50,000 training images; ResNet-18 for CIFAR-10 '
        'at full width, 32 x 32 pixels, batch 256, bfloat16, from scratch'
    ),
)
TASKS['camvid_r18'] = Task(
    host='camvid_r18',
    metric='mIoU',
    iterations=2000,
    search_iterations=400,
    search_warmup=150,
    momentum=2e-3,
    points=4,
    device='GPU',
    what=(
        'mIoU on the 133 test images at their full size; all 367 training images, scaled to 240 x 180, crops of 160 x '
        '160, batch 8; PSPNet on ResNet-18 at full width and stride 8, bfloat16, from scratch'
    ),
)
