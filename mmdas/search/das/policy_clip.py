"""A policy as a module: image to clip."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdas.ops.affine import compose, warp_affine
from mmdas.ops.aligned_shift import NeighbourWarps
from mmdas.ops.clip import clip_around, image_to_table, other_frames, reference_frame, table_to_time_major
from mmdas.ops.mixed_warps import mix_warps
from mmdas.ops.recording import is_recorded
from mmdas.ops.warp_operator import WarpOperator
from mmdas.search.policy_file import PolicyError

from .alignment import FUSION, POOLING, AlignedUse, refuse_deformations, unwarp
from .fast.linear_clip import fits, is_linear
from .fast.size_cache import PATIENCE, SizeCache
from .frame_transform import FrameTransform, check_floating_point
from .operation import Size, check_size
from .operation_table import get_operation
from .operation_weights import with_weights_of_their_own
from .pixels import Pixels
from .policy import Policy
from .search_space import draw_index
from .topology import NUM_INPUTS, canonical_source, evaluate, steps

# With more paths than that, one edge after the other is less work.
MAX_PATHS = 64

Path = tuple[tuple[str, float], ...]  # operations with their strengths, from the image to the clip
Warp = tuple[Tensor | None, float]  # matrices of the frames beside the reference frame, and the weight


class PolicyClip(nn.Module):
    """Apply a policy to a batch of images.

    Where all operations are affine warps, those along each path through the graph are composed to a single warp, so
    that every frame is a weighted sum of warps of the image that were sampled once: it is less blurred, and loses less
    at the borders, than by warp after warp as in the cell of the search. Other policies, and those with more than
    ``MAX_PATHS`` paths, apply one operation after the other and equal the cell whose mixtures are one-hot on them.

    On the processor the warps of a size that comes again are kept as a sparse operator. In training that is at once,
    so that crops should have one size; in evaluation after some images of that size, which changes a clip by rounding
    errors.

    Args:
        policy: what to apply.
        mean, std, max_value, channel_order: what the images are, see :class:`Pixels`. Default: colours in [0, 1], RGB.

    Shape:
        images (B, C, H, W) -> clip (B, T*C, H, W).

    Raises:
        PolicyError: if the clip would not be finite.
    """

    strengths: Tensor

    def __init__(
        self,
        policy: Policy,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        max_value: float = 255.0,
        channel_order: str = 'rgb',
    ) -> None:
        super().__init__()
        policy.check_clip()
        self.policy = policy
        self.transform = FrameTransform(
            policy.num_frames, policy.ramp, policy.padding, policy.seed, policy.reference_size
        )
        self.pixels = Pixels(mean, std, max_value, channel_order)
        self.edges = policy.needed_edges
        self.pairs = [(edge.source, edge.target) for edge in self.edges]
        rows = (get_operation(edge.operation) for edge in self.edges)
        self.operations, self.operation_weights = with_weights_of_their_own(rows)
        strengths = torch.tensor([edge.strength for edge in self.edges], dtype=torch.float32)
        self.register_buffer('strengths', strengths, persistent=False)
        self.paths = self._find_paths()
        self.is_composed = is_linear(self.operations) and len(self.paths) <= MAX_PATHS
        self._operators: SizeCache[WarpOperator] = SizeCache()
        self._warps: SizeCache[list[Warp]] = SizeCache()
        self._neighbours: SizeCache[NeighbourWarps] = SizeCache()

    @property
    def num_frames(self) -> int:
        """Frames T of a clip."""
        return self.policy.num_frames

    @property
    def reference_size(self) -> Size | None:
        """(H, W) in whose sides shifts count."""
        return self.transform.reference_size

    @reference_size.setter
    def reference_size(self, size: Size | None) -> None:
        self.transform.reference_size = check_size(size)

    @property
    def reads_colours(self) -> bool:
        """Whether the policy has operations that depend on what white and grey are."""
        return not is_linear(self.operations)

    def forward(self, images: Tensor, seldom: bool = False, size: Size | None = None) -> Tensor:
        """Make the clip.

        Args:
            images: (B, C, H, W), or feature maps of them where all operations are warps.
            seldom: whether images of this size hardly come again, so that nothing is kept for it.
            size: (H, W) in pixels of what feature maps show. Default: their own.
        """
        if self.num_frames == 1:
            return images
        check_floating_point(images)
        reference = images if self.policy.node_reduction == 'mean' else images * self._share_of_image()
        return clip_around(reference, self._others(images, seldom, size))

    def _others(self, images: Tensor, seldom: bool, size: Size | None) -> Tensor:
        """The frames beside the reference frame, (T-1, B, C, H, W)."""
        if self.reads_colours:
            return self.pixels.unscale(self._one_after_the_other(self.pixels.scale(images), size)).to(images.dtype)
        if not self.is_composed:
            return self._one_after_the_other(images, size)
        operator = None if seldom else self._operator(images, size)
        return self._sample(images, size) if operator is None else self._gather(images, operator)

    def _share_of_image(self) -> float:
        """What a frame that no operation changes is multiplied by."""
        return evaluate(1.0, self.pairs, lambda _, share: share, self.policy.num_nodes, self.policy.node_reduction)

    def _find_paths(self) -> dict[Path, float]:
        """Paths of warps from the image to the clip, with their weights; more than MAX_PATHS are not all there."""
        nodes: dict[int, dict[Path, float]] = {node: {(): 1.0} for node in range(NUM_INPUTS)}
        for target, positions in steps(self.pairs, self.policy.num_nodes):
            share = 1 / len(positions) if self.policy.node_reduction == 'mean' else 1.0
            nodes[target] = {}
            for position in positions:
                edge = self.edges[position]
                step = ((edge.operation, edge.strength),) if self.operations[position].geometric else ()
                for path, weight in nodes[edge.source].items():
                    nodes[target][path + step] = nodes[target].get(path + step, 0.0) + share * weight
            if len(nodes[target]) > MAX_PATHS:
                break
        return nodes[target]

    @property
    def grows_with_image(self) -> bool:
        """Whether frames of a larger image are displaced further than those of a smaller one."""
        return any(operation.grows_with_image for operation in self.operations)

    def check_alignable(self, use: AlignedUse = POOLING) -> None:
        """Check that every frame shows the image in one place.

        Args:
            use: who undoes the warps, for messages.

        Raises:
            PolicyError: if frames are sums of several warps, or an operation is a deformation.
        """
        refuse_deformations(self.operations, use)
        if len(self.paths) > 1:
            raise PolicyError(
                f'{use.name} undoes the warp of each frame, but frames of this policy are sums of {len(self.paths)} '
                f'different warps; search a chain (edges_per_node=1 of the selection), or {use.remedy}'
            )

    def frame_warps(self, size: Size) -> Tensor:
        """Warps of all frames, for features that are aligned within the network.

        Args:
            size: (H, W) of the images.

        Returns:
            (T, 2, 3), matrices of ``warp_affine`` in double precision; that of the reference frame is the identity.

        Raises:
            PolicyError: as :meth:`check_alignable`.
        """
        self.check_alignable(FUSION)
        (path,) = self.paths
        others = self._composed(path, size)
        none = torch.eye(2, 3, dtype=torch.float64, device=self.strengths.device)
        if others is None:
            return none.expand(self.num_frames, 2, 3)
        middle = reference_frame(self.num_frames)
        return torch.cat([others[:middle], none[None], others[middle:]])

    def unwarp(self, maps: Tensor, size: Size, canvas: Size) -> Tensor:
        """Carry maps that lie on the frames back to where the image is.

        Args:
            maps: (T, B, K, h, w), of any resolution.
            size: (H, W) of the images whose clip it is.
            canvas: (H, W) of the padded images, which the maps cover.

        Returns:
            (T, B, K, h, w); what lies outside a frame is zero.

        Raises:
            PolicyError: as :meth:`check_alignable`.
        """
        self.check_alignable()
        (path,) = self.paths
        theta = self._composed(path, size)
        return maps if theta is None else unwarp(maps, theta, size, canvas)

    def neighbour_warps(self, size: Size, canvas: Size, frames: slice) -> NeighbourWarps:
        """Warps between neighbouring frames, kept for the sizes that come again.

        Args:
            size: (H, W) of the images.
            canvas: (H, W) of the padded images.
            frames: those that are used, around the reference frame.

        Raises:
            PolicyError: as :meth:`check_alignable`.
        """

        def build() -> NeighbourWarps:
            return NeighbourWarps(self.frame_warps(size)[frames], size, canvas)

        if is_recorded():
            return build()
        key = (size, canvas, frames.start, frames.stop, self.reference_size, self.strengths.device)
        return self._neighbours.get(key, build) or build()

    def warps(self, size: Size) -> list[Warp]:
        """The composed warps of all paths.

        Args:
            size: (H, W) of the images.

        Returns:
            For each path its matrices (T-1, 2, 3) in double precision, None for the identity, and its weight.
        """
        return [(self._composed(path, size), weight) for path, weight in self.paths.items()]

    def _composed(self, path: Path, size: Size) -> Tensor | None:
        """Matrices (T-1, 2, 3) of the warps of a path one after the other; None for the identity."""
        theta: Tensor | None = None
        for name, strength in path:
            step = self.transform.matrices(get_operation(name), strength, size)
            theta = step if theta is None else compose(theta, step)
        return theta

    def _operator(self, images: Tensor, size: Size | None) -> WarpOperator | None:
        """The sum of all warps of an image size, or None where they are sampled."""
        of_images = size is None  # feature maps need a gradient in every step, images seldom
        if (of_images and images.requires_grad) or not fits(images, 4 * len(self.paths), self.num_frames):
            return None
        shape = images.shape[-2:]

        def build() -> WarpOperator:
            theta, weights = zip(*self.warps(shape if size is None else size), strict=True)
            padding = self.transform.padding
            operator = WarpOperator(theta, self.num_frames - 1, shape, padding, images.dtype, one_image=True)
            return operator.fold(weights)

        # Crops of a training have one size, and a resumed training goes on exactly; images of a test may all differ.
        patience = 0 if self.training else PATIENCE
        return self._operators.get((shape, size, self.reference_size, images.dtype), build, patience)

    def _gather(self, images: Tensor, operator: WarpOperator) -> Tensor:
        """The frames beside the reference frame, (T-1, B, C, H, W), by the operator."""
        table = image_to_table(images).contiguous()
        if not table.requires_grad:
            return table_to_time_major(operator.apply(table), images.shape)
        (others,) = mix_warps(table, table.new_ones(1, 1), operator)
        return table_to_time_major(others, images.shape)

    def _sample(self, images: Tensor, size: Size | None = None) -> Tensor:
        """The same, warp by warp."""
        size = images.shape[-2:] if size is None else size
        folded = images.flatten(0, 1).expand(self.num_frames - 1, -1, -1, -1)
        precision = torch.promote_types(images.dtype, torch.float32)
        key = (size, self.reference_size, images.device)
        kept = None if is_recorded() else self._warps.get(key, lambda: self.warps(size))
        warps = self.warps(size) if kept is None else kept
        parts = [
            weight * (folded if theta is None else warp_affine(folded, theta.to(precision), self.transform.padding))
            for theta, weight in warps
        ]
        return sum(parts[1:], start=parts[0]).unflatten(1, images.shape[:2])

    def _one_after_the_other(self, images: Tensor, size: Size | None = None) -> Tensor:
        def edge_output(position: int, source: Tensor) -> Tensor:
            edge = self.edges[position]
            draw = draw_index(canonical_source(edge.source), edge.operation)
            return self.transform(
                source, self.operations[position], self.strengths[position], draw, self.pixels.zero, size
            )

        frames = images.unsqueeze(0).expand(self.num_frames, *images.shape)
        clip = evaluate(frames, self.pairs, edge_output, self.policy.num_nodes, self.policy.node_reduction)
        return other_frames(clip)
