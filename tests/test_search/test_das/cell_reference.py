"""A small cell and the clip it stands for, written out as loops."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdas.ops import affine, photometric
from mmdas.search.das import DASCell


def random_images(n: int = 2, size: tuple[int, int] = (7, 10), dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def build_cell(num_frames: int = 3, num_nodes: int = 2, seed: int = 1, **options) -> DASCell:
    """A small cell in double precision and evaluation mode whose mixtures are far from uniform."""
    cell = DASCell(num_frames, num_nodes=num_nodes, seed=seed, **options).double().eval()
    torch.nn.init.normal_(cell.logits, generator=torch.Generator().manual_seed(seed))
    return cell


def softmax_by_hand(cell: DASCell) -> Tensor:
    return cell.logits.detach().exp() / cell.logits.detach().exp().sum(dim=1, keepdim=True)


def frame_by_hand(name: str, frame: Tensor, strength: float, offset: int, padding: str) -> Tensor:
    """An operation on one frame (C, H, W) at an offset along the ramp."""
    if name == 'identity' or offset == 0:
        return frame
    if name == 'horizontal_flip':
        return frame.flip(-1) if strength * offset % 2 == 1 else frame
    magnitude = (1 + strength) ** offset - 1 if name == 'scale' else strength * offset
    options = {'padding': padding} if hasattr(affine, name) else {}
    function = getattr(affine if hasattr(affine, name) else photometric, name)
    return function(frame[None], torch.tensor([magnitude], dtype=frame.dtype), **options)[0]


def clip_by_loops(
    cell: DASCell,
    images: Tensor,
    weights: Tensor | None = None,
    gone: Sequence[int] = (),
    ramp: str = 'signed',
    padding: str = 'zeros',
    reduction: str = 'mean',
) -> Tensor:
    """The clip by the definition: image by image, node by node, edge by edge, operation by operation, frame by frame.

    Args:
        weights: of the operations, (edges, operations); None is the softmax of the logits.
        gone: positions of the edges that are not there.
    """
    weights = softmax_by_hand(cell) if weights is None else weights
    strengths = cell.strengths().detach().expand_as(weights).tolist()
    names = [operation.name for operation in cell.operations]
    clips = []
    for image in images:
        nodes = [[image] * cell.num_frames, [image] * cell.num_frames]
        position = 0
        for target in range(2, 2 + cell.num_nodes):
            node, degree = [torch.zeros_like(image)] * cell.num_frames, 0
            for source in range(target):
                if position not in gone:
                    degree += 1
                    for t, frame in enumerate(nodes[source]):
                        offset = t - cell.num_frames // 2
                        offset = abs(offset) if ramp == 'mirrored' else offset
                        for name, weight, strength in zip(names, weights[position], strengths[position], strict=True):
                            node[t] = node[t] + weight * frame_by_hand(name, frame, strength, offset, padding)
                position += 1
            nodes.append([frame / degree for frame in node] if reduction == 'mean' else node)
        clips.append(torch.cat(nodes[-1]))
    return torch.stack(clips)


def one_hot(cell: DASCell, columns: Sequence[int]) -> Tensor:
    return torch.eye(len(cell.operations), dtype=torch.float64)[list(columns)]


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=0)
