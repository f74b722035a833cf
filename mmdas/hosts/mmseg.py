"""MMSegmentation."""

from .base import Host

MMSEG = Host(
    scope='mmseg',
    models={
        'EncoderDecoder': 'mmdas.DASEncoderDecoder',
        'CascadeEncoderDecoder': 'mmdas.DASCascadeEncoderDecoder',
    },
    preprocessor='SegDataPreProcessor',
    clip_preprocessor='mmdas.DASSegDataPreProcessor',
    heads=('decode_head', 'auxiliary_head'),
    pooled_head='mmdas.TemporalPoolingHead',
    loss='loss_decode',
    smooth_loss=('mmdas.SmoothCrossEntropyLoss', 'smoothing'),
    label='gt_sem_seg',
    label_maps=True,
    label_loader=('mmseg.datasets.transforms', 'LoadAnnotations'),
    inferencer='mmdas.NamedSegInferencer',
    pictures='out_dir',
    view_model='mmdas.SegViewModel',
    metric='mIoU',
    other_evaluators=('CityscapesMetric', 'DepthMetric'),
    confusion='mmdas.SegConfusionMatrix',
    tta_models={'SegTTAModel': 'mmdas.SegTTAModel'},  # wrong for heads with one output channel
)
