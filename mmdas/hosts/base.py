"""What DAS has to know of a toolbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Host:
    """A toolbox: what is different from others stands here, and whoever needs it asks.

    Types are texts, as in a config, so that the toolbox is imported when a type is built and not before. The defaults
    are those of a toolbox that nobody registered, whose plain configs are not converted.

    Args:
        scope: of its registries; the name of its package.
        models: type of a model whose parts go from an image to one prediction -> the type that makes clips where its
            backbone takes them; empty where its data preprocessor makes them.
        late_models: type of a model for which ``models`` says none -> the type that lets frames part within the
            backbone and hands the warps of the frames to an aligned fusion.
        preprocessor: type of its data preprocessor, without scope.
        clip_preprocessor: type of the one that owns the step from image to clip.
        heads: places of its heads in a model; the first one predicts.
        pooled_head: type that wraps a head and pools over the frames.
        loss: option of a head that says its loss.
        smooth_loss: type that takes the place of its cross-entropy over the classes, and the option of that type that
            says how much of a label's probability all classes share.
        label: field of a data sample.
        label_maps: whether labels and predictions are maps, with a label that does not count.
        label_loader: module and name of the transform that reads label maps.
        holds_pixels: whether its data sets may hold pixels, in the order RGB, in place of files.
        inferencer: its type, called with a config, ``weights`` and ``device``.
        pictures: option of the inferencer that names the folder of the results.
        tta_model: type for a config that says nothing of test-time augmentation; empty where a config has to.
        tta_models: types that are wrong, without scope -> what takes their place.
        view_model: type that looks at several views of an image; empty where there is none.
        metric: of its evaluators that decides between policies of views, higher being better.
        other_evaluators: types of its evaluators, without scope, that do not measure it.
        confusion: type of the metric that counts which class is taken for which.
        single_pictures: why it draws no predictions of several views of an image; empty where it does.
    """

    scope: str
    models: Mapping[str, str] = field(default_factory=dict)
    late_models: Mapping[str, str] = field(default_factory=dict)
    preprocessor: str = ''
    clip_preprocessor: str = ''
    heads: tuple[str, ...] = ('head',)
    pooled_head: str = 'mmdas.TemporalPoolingHead'
    loss: str = ''
    smooth_loss: tuple[str, ...] = ()
    label: str = ''
    label_maps: bool = False
    label_loader: tuple[str, str] = ('', '')
    holds_pixels: bool = False
    inferencer: str = 'mmdas.NamedSegInferencer'
    pictures: str = 'out_dir'
    tta_model: str = ''
    tta_models: Mapping[str, str] = field(default_factory=dict)
    view_model: str = ''
    metric: str = ''
    other_evaluators: tuple[str, ...] = ()
    confusion: str = ''
    single_pictures: str = ''

    def labels(self, sample: Any) -> Tensor:
        """Labels of a data sample that has them."""
        return sample.get(self.label).data if self.label_maps else sample.get(self.label)

    def loader_defaults(self, loader: Mapping, device: str) -> dict[str, Any]:
        """Options that its own tools add to the config of a data loader, for a model on a device such as ``'cuda'``."""
        return {}

    def draw(self, cfg: Any, folder: str | None) -> None:
        """Let the visualization hook of a config draw every prediction, into a folder where one is given."""
        cfg.default_hooks.visualization.update(draw=True)
        if folder is not None:
            cfg.visualizer.save_dir = folder

    def lines(self, results: Any) -> list[str]:
        """What is printed of the results of its inferencer, a line an image; none where files say it all."""
        return []
