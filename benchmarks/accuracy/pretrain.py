"""The weights that camvid_pretrained starts from: ``python -m benchmarks.accuracy.pretrain`` (about 7 CPU minutes).

There are no weights of ImageNet at hand; the small network of CIFAR-10 is trained on all of cifar10-jpeg instead. Its
backbone is that of CamVid's network.
"""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

import torch  # noqa: E402
from mmengine.hooks import EMAHook  # noqa: E402

from mmdas.apis import load_config  # noqa: E402

from .recorder import CurveRecorder  # noqa: E402
from .run import run, set_training  # noqa: E402
from .tasks import ROOT, TASKS  # noqa: E402

ITERATIONS = 8000  # 10 epochs
PATH = ROOT / 'work_dirs' / 'accuracy' / 'pretrained.pth'


def main() -> None:
    """Train, print the accuracy and write the averaged weights."""
    os.chdir(ROOT)
    task = TASKS['cifar10']
    cfg = load_config(task.path)
    cfg.train_dataloader.dataset.per_class = None
    set_training(cfg, task, ITERATIONS, seed=0)
    recorder = CurveRecorder([ITERATIONS], task.metric, cfg.train_dataloader.batch_size, frames=1)
    runner = run(cfg, recorder)
    averaged = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    PATH.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': averaged.state_dict()}, PATH)
    print(f'{recorder.points[-1]}: {PATH}')


if __name__ == '__main__':
    main()
