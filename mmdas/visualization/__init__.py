"""Pictures of clips, cells, policies and predictions: matplotlib figures without any global state."""

from .augmentation_figure import draw_augmentation, operation_shares
from .clip_figure import animate_clips, clip_to_images, describe_clip, draw_clips
from .comparison_figure import draw_comparison
from .confusion_figure import draw_confusion
from .course_figure import draw_course
from .curve_figure import draw_curves
from .feature_figure import draw_dropped
from .field_figure import draw_fields
from .gate_figure import draw_gates
from .keep_figure import draw_keep
from .map_figure import draw_box, draw_pictures, overlay, to_grey
from .mixture_figure import draw_mixtures
from .parting_figure import draw_parting
from .policy_figure import draw_policy, save_policy_figure
from .prediction_figure import draw_predictions, labels_to_colours
from .view_figure import draw_views, save_view_figure
from .worst_figure import WorstImage, draw_worst

__all__ = [
    'WorstImage',
    'animate_clips',
    'clip_to_images',
    'describe_clip',
    'draw_augmentation',
    'draw_box',
    'draw_clips',
    'draw_comparison',
    'draw_confusion',
    'draw_course',
    'draw_curves',
    'draw_dropped',
    'draw_fields',
    'draw_gates',
    'draw_keep',
    'draw_mixtures',
    'draw_parting',
    'draw_pictures',
    'draw_policy',
    'draw_predictions',
    'draw_views',
    'draw_worst',
    'labels_to_colours',
    'operation_shares',
    'overlay',
    'save_policy_figure',
    'save_view_figure',
    'to_grey',
]
