"""Draw what frames that part late see: features of the frames of an image, and warped features of the image.

``python tools/misc/parting_figure.py IMAGE --policy policy.json --part-after layer1 --out parting.png``
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import mmcv
import torch
from mmpretrain.models import ResNet
from torch import Tensor

from mmdas.models import FrameFusionBackbone
from mmdas.ops.clip import clip_to_frames
from mmdas.search.das import Policy, PolicyClip, PolicyEdge
from mmdas.visualization import draw_parting


def parse_args(arguments: Sequence[str] | None = None) -> Namespace:
    """Read the command line."""
    parser = ArgumentParser(description='Draw what frames that part late see')
    parser.add_argument('image', help='file')
    parser.add_argument('--policy', help='file of warps alone (default: turns by 10 degrees and shifts, T = 4)')
    parser.add_argument('--part-after', default='layer1', help='place in a ResNet-18 (%(default)s)')
    parser.add_argument('--side', type=int, default=192, help='that the image is scaled to, in pixels (%(default)s)')
    parser.add_argument('--out', default='parting.png', help='picture to write (%(default)s)')
    return parser.parse_args(arguments)


def turns() -> Policy:
    """Turns by 10 degrees and then shifts by 6 % of the width, a step."""
    return Policy(4, 2, (PolicyEdge(1, 2, 'rotate', 10.0), PolicyEdge(2, 3, 'translate_x', 0.06)))


@torch.no_grad()
def maps_at(place: str, clip: PolicyClip, image: Tensor, late: bool) -> Tensor:
    """Mean over the channels of the feature maps behind a place, (T, h, w), of a network with its first weights."""
    torch.manual_seed(0)
    backbone = FrameFusionBackbone(ResNet(18), clip.num_frames, part_after=place if late else None).eval()
    found: list[Tensor] = []
    backbone.get_submodule(place).register_forward_hook(lambda *called: found.append(called[2]))
    if late:
        with backbone.parting.lent(lambda maps: clip(maps, size=tuple(image.shape[-2:]))):
            backbone(image)
    else:
        backbone(clip(image))
    return found[0].mean(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture.

    Raises:
        FileNotFoundError: for a file that is no image.
    """
    args = parse_args(arguments)
    pixels = mmcv.imread(args.image) if Path(args.image).is_file() else None
    if pixels is None:
        raise FileNotFoundError(f'there is no image {args.image}')
    pixels = mmcv.imresize(pixels, (args.side, args.side))
    clip = PolicyClip(turns() if args.policy is None else Policy.load(args.policy)).eval()
    image = torch.from_numpy(pixels).permute(2, 0, 1).flip(0)[None].float()
    frames = clip_to_frames(clip(image), clip.num_frames).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    scaled = (image - 120) / 60
    rows = {
        'at once': maps_at(args.part_after, clip, scaled, late=False),
        f'after {args.part_after}': maps_at(args.part_after, clip, scaled, late=True),
    }
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    draw_parting(list(frames), rows).savefig(args.out, dpi=80)
    print(f'{args.out}: {clip.num_frames} frames')


if __name__ == '__main__':
    main()
