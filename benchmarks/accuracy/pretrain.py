"""The weights that camvid_pretrained starts from: ``python -m benchmarks.accuracy.pretrain`` (about 7 CPU minutes).

There are no weights of ImageNet at hand; the small network of CIFAR-10 is trained on all of cifar10-jpeg instead. Its
backbone is that of CamVid's network.
"""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

from mmdas.apis import load_config  # noqa: E402

from .run import train_plain  # noqa: E402
from .tasks import ROOT, TASKS  # noqa: E402

ITERATIONS = 8000  # 10 epochs
PATH = ROOT / 'work_dirs' / 'accuracy' / 'pretrained.pth'


def main() -> None:
    """Train, write the averaged weights and print their accuracy."""
    os.chdir(ROOT)
    task = TASKS['cifar10']
    cfg = load_config(task.path)
    cfg.train_dataloader.dataset.per_class = None
    print(f'{PATH}: {train_plain(cfg, task, 0, ITERATIONS, PATH)}')


if __name__ == '__main__':
    main()
