"""MMPretrain, its classification."""

from collections.abc import Mapping
from typing import Any

from .base import Host


class MMPretrain(Host):
    """What its tools do that its configs leave out."""

    def loader_defaults(self, loader: Mapping, device: str) -> dict[str, Any]:
        return {
            'collate_fn': {'type': 'default_collate'},
            'persistent_workers': loader.get('num_workers', 0) > 0,
            'pin_memory': device == 'cuda',
        }

    def draw(self, cfg: Any, folder: str | None) -> None:
        cfg.default_hooks.visualization.update(enable=True, out_dir=folder)

    def lines(self, results: Any) -> list[str]:
        return [f'{result.get("pred_class", result["pred_label"])} ({result["pred_score"]:.2f})' for result in results]


MMPRETRAIN = MMPretrain(
    scope='mmpretrain',
    models={'ImageClassifier': ''},
    late_models={'ImageClassifier': 'mmdas.DASImageClassifier'},
    preprocessor='ClsDataPreprocessor',
    clip_preprocessor='mmdas.DASClsDataPreprocessor',
    heads=('head',),
    pooled_head='mmdas.TemporalPoolingClsHead',
    loss='loss',
    smooth_loss=('mmpretrain.LabelSmoothLoss', 'label_smooth_val'),
    label='gt_label',
    holds_pixels=True,
    inferencer='mmdas.NamedClsInferencer',
    pictures='show_dir',
    tta_model='mmpretrain.AverageClsScoreTTA',
    view_model='mmdas.ClsViewModel',
    metric='accuracy/top1',
    other_evaluators=(
        *('AveragePrecision', 'ConfusionMatrix', 'MultiLabelMetric', 'MultiTasksMetric', 'RegressionMetric'),
        *('RetrievalAveragePrecision', 'RetrievalRecall', 'ShapeBiasMetric', 'SingleLabelMetric'),
        *('VOCAveragePrecision', 'VOCMultiLabelMetric'),
    ),
    confusion='mmpretrain.ConfusionMatrix',
    single_pictures='the hook of MMPretrain draws single images only',
)
