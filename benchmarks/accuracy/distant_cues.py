"""Scenes in which the class of a pixel is written down far above it: nothing but a wide receptive field helps."""

import cv2
import numpy as np
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

HEIGHT, WIDTH = 144, 64
DISTANCE = 37  # of the middle lines of the two bands, in pixels
HALF_BAND = 3  # pixels at either side of the middle line
COLOURS = ((200, 90, 60), (60, 90, 200))


def make_scene(seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A gray band on a texture, and a band with pieces of two colours above it.

    The class of a pixel of the gray band is the colour of its column in the other band; no other pixel has a label.
    Pixels of the two bands are 31 to 43 rows apart.

    Args:
        seed: of all that is random in the scene.

    Returns:
        The image (144, 64, 3) and the label (144, 64), uint8: 0 or 1 in the gray band, 255 elsewhere.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 190, (18, 8, 3)).astype(np.float32)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    y = int(rng.integers(HALF_BAND, HEIGHT - DISTANCE - HALF_BAND))
    pieces = rng.integers(2, size=WIDTH // 8)
    kinds = np.roll(np.repeat(pieces, 8), rng.integers(8))
    label = np.full((HEIGHT, WIDTH), 255, np.uint8)
    cue = slice(y - HALF_BAND, y + HALF_BAND + 1)
    band = slice(cue.start + DISTANCE, cue.stop + DISTANCE)
    image[cue] = np.float32(COLOURS)[kinds]
    image[band] = 230
    label[band] = kinds
    noisy = image + rng.normal(0, 8, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), label


@DATASETS.register_module(force=True)
class DistantCues(BaseSegDataset):
    """Scenes of :func:`make_scene`, in memory.

    Args:
        count: number of scenes.
        seed: scenes of different seeds are different.
        **kwargs: those of :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = {'classes': ('blue above', 'red above'), 'palette': [list(colour[::-1]) for colour in COLOURS]}

    def __init__(self, count: int, seed: int, **kwargs) -> None:
        self.count, self.seed = count, seed
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Draw the scenes."""
        shape = dict(img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH))
        scenes = (make_scene((self.seed, number)) for number in range(self.count))
        return [dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'], **shape) for image, label in scenes]
