"""What a user chooses of a conversion."""

from dataclasses import dataclass
from pathlib import Path

from mmdas.models.heads.temporal_pooling import POOLINGS
from mmdas.search.das.policy import MAX_FRAMES

SELECTIONS = {'argmax': 'mmdas.ArgmaxSelection', 'perturbation': 'mmdas.PerturbationSelection'}
ALIGNED_WORD = 'aligned-'
PLAIN_FUSIONS = {'tsm': 'mmdas.TemporalShift', 'gsm': 'mmdas.GateShift', 'gsf': 'mmdas.GateShiftFuse'}
FUSIONS = {**PLAIN_FUSIONS, **{ALIGNED_WORD + word: kind for word, kind in PLAIN_FUSIONS.items()}, 'none': None}


class ConversionError(ValueError):
    """A config that cannot become one of DAS; the message says which part is in the way."""


@dataclass(frozen=True)
class DASOptions:
    """What a user chooses.

    Args:
        frames: T >= 2. Default: 4.
        fusion: ``'tsm'``, ``'gsm'``, ``'gsf'`` or ``'none'``. ``'aligned-tsm'`` and its like train with features that
            are aligned (``aligned=True`` of the fusion); their search is without, for a chain. Default: ``'gsf'``.
        policy: file that the das config names; None takes what the search config leaves in its work directory.
        pooling: mode of :class:`mmdas.models.TemporalPooling` that all heads get. Default: ``'mean'``.
        selection: how the search decides: ``'argmax'`` of the mixtures, or by ``'perturbation'`` as in the paper, which
            takes longer and scored no better (``benchmarks/accuracy.md``). Default: ``'argmax'``.
        sites: paths of the convolutions at which to fuse, for a backbone without known residual blocks. Default: the
            residual blocks.
        any_frames: whether the training takes fewer frames at random, so that its checkpoint serves any number of
            them; TSM then keeps the channels of the first and last frame. Default: False.
        part_after: where in the backbone the frames part, the path of a module such as ``'layer1'`` or a number of
            stages; None for clips of images. Default: None.
        search_length: iterations or epochs of the search, as the host counts. Default: a tenth of the host's.
        fast: whether the search is the fast one, of about a third of the cost (:func:`mmdas.apis.set_fast`); a length
            that is given is that of the search which becomes fast. Default: False.

    Raises:
        ValueError: for fewer than two frames or more than a policy can have, a folder as policy, an unknown fusion,
            pooling or selection, or sites without a fusion or named twice.
    """

    frames: int = 4
    fusion: str = 'gsf'
    policy: str | None = None
    pooling: str = 'mean'
    selection: str = 'argmax'
    sites: tuple[str, ...] = ()
    search_length: int | None = None
    any_frames: bool = False
    part_after: str | int | None = None
    fast: bool = False

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f'frames must be at least 2, got {self.frames}: one frame is the plain model')
        if self.frames > MAX_FRAMES:
            raise ValueError(f'frames must be at most {MAX_FRAMES}, got {self.frames}')
        if self.policy is not None and Path(self.policy).is_dir():
            raise ValueError(f'policy is {self.policy!r}, a folder; name a file')
        if self.fusion not in FUSIONS:
            raise ValueError(f'fusion must be one of {sorted(FUSIONS)}, got {self.fusion!r}')
        if self.pooling not in POOLINGS:
            raise ValueError(f'pooling must be one of {sorted(POOLINGS)}, got {self.pooling!r}')
        if self.selection not in SELECTIONS:
            raise ValueError(f'selection must be one of {sorted(SELECTIONS)}, got {self.selection!r}')
        if self.search_length is not None and self.search_length < 2:
            raise ValueError(f'a search has at least 2 iterations or epochs, got a length of {self.search_length}')
        if self.sites and self.fusion == 'none':
            raise ValueError(f'sites {" ".join(self.sites)} are where frames are fused, but fusion is none')
        double = next((site for site in self.sites if self.sites.count(site) > 1), None)
        if double is not None:
            raise ValueError(f'sites names {double} twice, where frames are fused once; leave one out')

    @property
    def aligned(self) -> bool:
        """Whether the fusion aligns the frames."""
        return self.fusion.startswith(ALIGNED_WORD)

    def frame_choices(self) -> list[int]:
        """Numbers of frames of a training for any of them: 1, its doubles, and T."""
        doubles = [2**power for power in range(MAX_FRAMES.bit_length()) if 2**power < self.frames]
        return [*doubles, self.frames]
