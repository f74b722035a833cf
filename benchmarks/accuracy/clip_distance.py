"""How far a policy moves its frames from the image, beside the score it leads to: ``python -m
benchmarks.accuracy.clip_distance``."""

import numpy as np
import torch

from mmdas.cell import Policy, PolicyClip
from mmdas.ops.clip import clip_to_frames

from .__main__ import RESULTS, read
from .jpeg_cifar10 import JPEGCIFAR10
from .tasks import ROOT


def distance(policy: Policy, images: torch.Tensor) -> float:
    """Mean over the frames of the distance |frame - image| / |image|, images having mean zero."""
    frames = clip_to_frames(PolicyClip(policy)(images), policy.num_frames)
    frames = frames.unflatten(0, (len(images), policy.num_frames))
    return float((frames - images[:, None]).flatten(2).norm(dim=2).mean() / images.flatten(1).norm(dim=1).mean())


def main() -> None:
    """Print a line a record with four frames and GSF, and the correlation."""
    data = JPEGCIFAR10(str(ROOT / 'data/cifar10-jpeg'), 'test', per_class=10)
    images = torch.stack([torch.from_numpy(data.get_data_info(i)['img'].copy()) for i in range(len(data))])
    images = images.permute(0, 3, 1, 2).float()
    images = images - images.mean()
    records = [r for r in read(RESULTS / 'accuracy-cifar10.jsonl') if r['frames'] == 4 and r['fusion'] == 'gsf']
    pairs = []
    for record in records:
        at = next(point['score'] for point in record['curve'] if point['iterations'] == 2400)
        far = distance(Policy.from_dict(record['policy']), images) if record['policy'] else 0.0
        pairs.append((far, at))
        print(f'{record["row"]:20} seed {record["seed"]}: distance {far:.3f}, score {at:.2f}')
    print(f'correlation {np.corrcoef(np.array(pairs).T)[0, 1]:.2f} over {len(pairs)} runs')


if __name__ == '__main__':
    main()
