"""The inferencer of MMSegmentation."""

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmseg.apis import MMSegInferencer

from mmdas.registry import INFERENCERS

from .named_results import NamedResults


@INFERENCERS.register_module()
class NamedSegInferencer(NamedResults, MMSegInferencer):
    """``MMSegInferencer`` whose pictures and label maps are named by their images."""

    PICTURES = 'img_out_dir'

    def postprocess(self, preds: list, visualization: Any, return_datasample: bool = False, pred_out_dir: str = ''):
        """As the toolbox's; the label maps are written here, as images of one channel."""
        if pred_out_dir:
            for name, pred in zip(self.result_names(self.keys, pred_out_dir), preds, strict=True):
                labels = pred.pred_sem_seg.data[0].cpu().numpy()
                dtype = np.uint8 if labels.max(initial=0) < 256 else np.uint16
                mmcv.imwrite(labels.astype(dtype), str(Path(pred_out_dir, f'{name}.png')))
        return super().postprocess(preds, visualization, return_datasample)
