"""What the data preprocessors of all toolboxes share: the step from the normalised image to the clip."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdas.augment import Augment, AugmentChain
from mmdas.ops.aligned_shift import FrameAlignment
from mmdas.ops.clip import repeat_image
from mmdas.registry import MODELS
from mmdas.search.das import Policy, PolicyClip, PolicyError
from mmdas.search.das.operation import SIDES, Size

from .absent_policy import AbsentPolicy
from .clip_pixels import ClipPixels
from .clip_record import ClipRecord
from .clip_sizes import NotedSizes, cells_of, first_of_all, group_by_size, strides_of
from .content_mask import add_content_mask
from .frame_window import check_frames, cut_clip, draw_frames, fill_frames, window
from .pixel_values import converted_order

NO_WARPS = ('colour', 'deformation')  # kinds of operations


class ImageToClip(ClipPixels, ClipRecord):
    """Mixin of a data preprocessor that owns the image-to-clip step and takes it at the end of its ``forward``.

    The clip is made of the image's content, without what pads it. Shifts count in a size that stays: that of the
    policy, or else of the crops of the training, so that they are the same pixels in search, training and test.

    The options below are taken before the parent's, which all keep their meaning.

    Args:
        num_frames: T >= 1.
        cell: config of the relaxed cell while searching, ``dict(type='mmdas.DASCell', ...)``; ``num_frames`` and what
            the pixels mean are filled in.
        policy: file of a policy, or its content as a dict, after a search. Where there is no such file, the policy of
            the checkpoint is taken.
            Neither: the clip repeats the image.
        max_value: the pixel value that is white, for colour operations: 65535 for 16 bits, 1 for floats. Default: 255
            or 1, as the normalisation says.
        channel_order: of the network's images, ``'rgb'`` or ``'bgr'``, for colour operations. Default: as the parent
            converts, or the toolbox reads.
        accept_difference: whether weights may be loaded that were trained with another clip. Default: False.
        frame_dropout: numbers of frames, one of which is drawn for each batch of a training: the clip is cut to so
            many frames around the reference frame. One checkpoint then serves any of them. Backbone and heads need
            ``any_frames=True``. Default: none, all T frames.
        used_frames: so many frames around the reference frame are used in evaluation, 1 being the image alone. As
            above. Default: T.
        augments: steps, or their configs, of :class:`mmdas.augment.AugmentChain`, taken in training mode alone: in
            trainings and both steps of a search, not in the trials of its selection. Default: none.

    Raises:
        ValueError: for both ``cell`` and ``policy``, or ``cell`` and ``frame_dropout``, a number of frames that differs
            from ``num_frames``, or colour operations whose pixels are not known; on loading weights that were trained
            with another clip.
        FileNotFoundError: in ``forward``, if there is no policy file and no checkpoint brought a policy.
    """

    file_order: ClassVar[str | None] = None  # of images that the parent does not convert

    def __init__(
        self,
        *args: Any,
        num_frames: int = 1,
        cell: Mapping | None = None,
        policy: str | Path | Mapping | None = None,
        max_value: float | None = None,
        channel_order: str | None = None,
        accept_difference: bool = False,
        frame_dropout: Sequence[int] = (),
        used_frames: int | None = None,
        augments: Sequence[Mapping | Augment] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.augments = AugmentChain(augments)
        # Steps are no modules: what of them has parameters to search lies here.
        searched = [step.searchable for step in self.augments.steps if hasattr(step, 'searchable')]
        if searched:
            self.searched_augments = nn.ModuleList(searched)
        if num_frames < 1:
            raise ValueError(f'data_preprocessor.num_frames must be at least 1, got {num_frames}')
        if cell is not None and policy is not None:
            raise ValueError('data_preprocessor takes cell (while searching) or policy (afterwards), not both')
        if cell is not None and frame_dropout:
            raise ValueError('data_preprocessor.frame_dropout is for trainings with a policy; leave it out of a search')
        self.num_frames = num_frames
        self.frame_dropout = check_frames('frame_dropout', frame_dropout, num_frames)
        check_frames('used_frames', [num_frames if used_frames is None else used_frames], num_frames)
        self.used_frames = used_frames  # None: all
        self.frames_now = num_frames
        self.sizes_now: Sequence[Size] | None = None  # of the latest images
        self.max_value = max_value
        self.channel_order = channel_order or converted_order(kwargs) or self.file_order
        self.gives_images = self.marks_content = False
        self._noted = NotedSizes()
        self._warned = False
        self.accept_difference = accept_difference
        self._colour_steps = [step for step in self.augments.steps if hasattr(step, 'use_pixels')]
        self.augment_pixels = self._tell_augments()
        self.cell = self._build_cell(cell) if cell is not None else None
        self.policy = self._build_policy(policy) if policy is not None else None
        self._open_reference = self.image_to_clip is not None and self.image_to_clip.reference_size is None
        self._set_reference(getattr(self, 'size', None))
        if self.policy is not None and self._open_reference:
            self._tell_assumption()

    def forward(self, data: dict, training: bool = False) -> dict:
        """Parent's steps, then image -> clip: ``inputs`` become (B, T*C, H, W).

        They stay images (B, C, H, W) where the model makes the clips itself, see
        :class:`mmdas.models.ClipSegmentor`.
        """
        sizes = [tuple(image.shape[-2:]) for image in data['inputs']]
        self._check_channels(data['inputs'][0].shape[0])
        self._check_pixels(data['inputs'])
        mixed = training and getattr(self, 'batch_augments', None) is not None
        data = super().forward(data, training)
        images, samples = data['inputs'], data.get('data_samples')
        if training and self.training:
            images, samples = self.augments(images, samples)
        return {**data, 'inputs': self.to_inputs(images, None if mixed else sizes), 'data_samples': samples}

    def to_inputs(self, images: Tensor, sizes: Sequence[Size] | None = None) -> Tensor:
        """What the model takes for images.

        These, where it makes clips itself, with a further channel that marks their contents where it cannot know them;
        else the clip, see :meth:`to_clip`.
        """
        if not self.gives_images:
            return self.to_clip(images, sizes)
        if not self.marks_content or self.image_to_clip is None:
            return images
        padded = sizes is not None and any(tuple(size) != tuple(images.shape[-2:]) for size in sizes)
        return add_content_mask(images, sizes if padded else None)

    def to_clip(self, images: Tensor, sizes: Sequence[Size] | None = None) -> Tensor:
        """Normalised images (B, C, H, W) -> clip (B, T*C, H, W).

        Args:
            images: the batch.
            sizes: (H, W) of each image, in the upper left corner of its place in the batch; the rest is padding.
                Default: images fill their places.
        """
        self.choose_frames()
        self.sizes_now = sizes
        return self._used_clip(images, sizes, None)

    def maps_to_clip(self, maps: Tensor, canvas: Size, sizes: Sequence[Size] | None = None) -> Tensor:
        """Feature maps (B, C, h, w) of normalised images -> clip (B, T*C, h, w), by the same warps.

        Frames move by as many pixels of the image, h and w being its sides over a whole stride. Contents end with whole
        cells. The frames that are used are those of the latest :meth:`choose_frames`.

        Args:
            maps: of the batch.
            canvas: (H, W) of the batch in pixels.
            sizes: of the images in pixels, see :meth:`to_clip`.

        Raises:
            ValueError: for operations that are no warps, see :meth:`check_warps`, or maps that are finer than images.
        """
        self.check_warps()
        return self._used_clip(maps, sizes, canvas)

    def shown_by_maps(
        self, maps: Tensor, canvas: Size, sizes: Sequence[Size] | None = None
    ) -> tuple[Size, Sequence[Size] | None]:
        """Pixels that feature maps and the contents in them stand for: whole cells, by which their frames move.

        Args:
            maps, canvas, sizes: see :meth:`maps_to_clip`.

        Returns:
            ``canvas`` and ``sizes`` as multiples of the stride; as they are where frames are equal.
        """
        if self.image_to_clip is None:
            return canvas, sizes
        height, width = strides_of(canvas, (maps.shape[-2], maps.shape[-1]))
        contents = [(h * height, w * width) for h, w in cells_of(sizes, (height, width))]
        return (maps.shape[-2] * height, maps.shape[-1] * width), None if sizes is None else contents

    def choose_frames(self) -> None:
        """Choose the frames that are used of the clips of the next batch."""
        if self.training and self.frame_dropout:
            self.frames_now = draw_frames(self.frame_dropout)
        else:
            self.frames_now = self.num_frames if self.used_frames is None else self.used_frames

    def _used_clip(self, images: Tensor, sizes: Sequence[Size] | None, canvas: Size | None) -> Tensor:
        if self.frames_now == 1 < self.num_frames:
            return images
        return cut_clip(self._whole_clip(images, sizes, canvas), self.num_frames, self.frames_now)

    def _whole_clip(self, images: Tensor, sizes: Sequence[Size] | None, canvas: Size | None) -> Tensor:
        if self.image_to_clip is None:
            return repeat_image(images, self.num_frames)
        cells = (images.shape[-2], images.shape[-1])
        self._note_size(cells if canvas is None else canvas)
        stride = None if canvas is None else strides_of(canvas, cells)
        contents = cells_of(sizes, stride) if sizes is not None and stride is not None else sizes
        groups = None if contents is None else group_by_size(contents, cells)
        if groups is None or list(groups) == [cells]:
            return self._clip_of(images, stride)
        clip = images.repeat(1, self.num_frames, 1, 1)
        for (height, width), places in groups.items():
            if height and width:  # a window may lie in the padding
                seldom = (height, width) != cells
                content = self._clip_of(images[places, :, :height, :width], stride, seldom=seldom)
                clip[places, :, :height, :width] = content.to(clip.dtype)
        return clip

    def _clip_of(self, images: Tensor, stride: Size | None, **options: bool) -> Tensor:
        """Clip of images, or of feature maps of a stride."""
        if stride is None:
            return self.image_to_clip(images, **options)
        shown = images.shape[-2] * stride[0], images.shape[-1] * stride[1]
        return self.image_to_clip(images, size=shown, **options)

    def check_warps(self) -> None:
        """Check that all operations are warps, which feature maps undergo as images do.

        Raises:
            PolicyError: naming those that are not.
        """
        found = {one.name for one in getattr(self.image_to_clip, 'operations', ()) if one.kind in NO_WARPS}
        if found:
            raise PolicyError(
                f'{", ".join(sorted(found))} of the space or policy change colours or deform images, but part_after of '
                'the backbone makes clips of feature maps, which take affine warps alone; leave them out '
                "(space='paper' of the cell, or a policy of such a search), or leave part_after out"
            )

    def unwarp(self, maps: Tensor, canvas: Size, sizes: Sequence[Size] | None = None) -> Tensor:
        """Carry maps that lie on the frames back to where the image is.

        Args:
            maps: (T, B, K, h, w), of any resolution, over the batch's canvas; of fewer frames where fewer are used.
            canvas: (H, W) of the batch.
            sizes: of the images, see :meth:`to_clip`.

        Returns:
            (T, B, K, h, w).
        """
        if self.image_to_clip is None:
            return maps
        whole = self._unwarp_all(fill_frames(maps, self.num_frames), canvas, sizes)
        return whole[window(self.num_frames, len(maps))]

    def alignment(self, canvas: Size, sizes: Sequence[Size] | None = None) -> FrameAlignment:
        """How the used frames of the latest clips lie to each other, for fusions that align them.

        Args:
            canvas: (H, W) of the batch.
            sizes: of the images, see :meth:`to_clip`.

        Raises:
            PolicyError: if frames have no single warp each.
        """
        frames = window(self.num_frames, self.frames_now)
        if self.image_to_clip is None:
            return FrameAlignment(self.frames_now)
        groups = group_by_size(sizes, canvas)
        if list(groups) == [canvas]:
            return FrameAlignment(
                self.frames_now, ((None, self.image_to_clip.neighbour_warps(canvas, canvas, frames)),)
            )
        found = [
            (tuple(places), self.image_to_clip.neighbour_warps(size if all(size) else canvas, canvas, frames))
            for size, places in groups.items()
        ]
        return FrameAlignment(self.frames_now, tuple(found))

    def _unwarp_all(self, maps: Tensor, canvas: Size, sizes: Sequence[Size] | None) -> Tensor:
        groups = None if sizes is None else group_by_size(sizes, canvas)
        if groups is None or list(groups) == [canvas]:
            return self.image_to_clip.unwarp(maps, canvas, canvas)
        back = maps.clone()
        for size, places in groups.items():
            if all(size):
                back[:, places] = self.image_to_clip.unwarp(maps[:, places], size, canvas).to(back.dtype)
        return back

    def _build_cell(self, cell: Mapping) -> nn.Module:
        self._check_frames(cell.get('num_frames', self.num_frames), 'data_preprocessor.cell.num_frames')
        return self._with_pixels(MODELS.build({**cell, 'num_frames': self.num_frames}))

    def _build_policy(self, policy: Any, place: str = 'data_preprocessor.policy') -> PolicyClip | AbsentPolicy:
        inline = isinstance(policy, Mapping)
        if not inline and not Path(policy).is_file():
            return AbsentPolicy(policy)
        loaded = Policy.from_dict(policy, place) if inline else Policy.load(policy)
        self._check_frames(loaded.num_frames, f'num_frames of {place if inline else policy}')
        return self._with_pixels(PolicyClip(loaded))

    def _set_reference(self, size: Sequence[int] | None) -> None:
        """Let shifts count in a size from now on, unless the policy or the config says in which."""
        if size is not None and self.image_to_clip is not None and self.image_to_clip.reference_size is None:
            self.image_to_clip.reference_size = tuple(int(side) for side in size)

    def _tell_assumption(self) -> None:
        """Say in what the shifts of a policy count that does not say it, as those of schema 1."""
        shifts = sorted({operation.name for operation in self.policy.operations if operation.unit in SIDES})
        if shifts:
            size = self.policy.reference_size
            where = 'the size of the first batch of the training' if size is None else f'{size[0]} x {size[1]} pixels'
            print_log(f'the policy has no reference_size: {", ".join(shifts)} count in {where}', 'current')

    def _note_size(self, canvas: Size) -> None:
        """Remember the largest sides of the training's clips, and tell of a test whose clips differ from them."""
        clip, noted = self.image_to_clip, self._noted
        if self.training:
            if clip.reference_size is None and noted.reference is None:
                noted.reference = first_of_all(canvas)
            largest = noted.training or canvas
            noted.training = (max(largest[0], canvas[0]), max(largest[1], canvas[1]))
        self._set_reference(noted.reference)
        recorded = torch.compiler.is_compiling()  # a graph may take any size: nothing is compared
        if not (self.training or self._warned or recorded) and noted.training and clip.grows_with_image:
            self._warn(canvas, noted.training)

    def _check_frames(self, num_frames: int, name: str) -> None:
        if num_frames != self.num_frames:
            raise ValueError(
                f'{name} is {num_frames}, data_preprocessor.num_frames is {self.num_frames}; set both from one '
                'variable, or search a policy for this number of frames'
            )

    def _warn(self, canvas: Size, trained: Size) -> None:
        if canvas[0] <= trained[0] and canvas[1] <= trained[1]:
            return
        self._warned = True
        print_log(
            f'clips of {canvas[0]} x {canvas[1]} pixels are tested, but were trained with {trained[0]} x '
            f'{trained[1]}: rotation, scale and shear move the outer pixels further than in the training; '
            "test by windows of its size, model.test_cfg=dict(mode='slide', crop_size=..., stride=...)",
            'current',
            logging.WARNING,
        )
