# Scenes whose cue is at least 31 pixels above what it decides, for the network of camvid_narrow.py, a pixel of whose
# prediction sees at most 30 pixels in every direction.
_base_ = './small_fcn.py'
custom_imports = dict(imports=['benchmarks.accuracy.distant_cues'], allow_failed_imports=False)
model = dict(
    data_preprocessor=dict(size=(144, 64)),
    backbone=dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)),
    decode_head=dict(in_channels=16, in_index=0, channels=16, num_convs=0, num_classes=2),
)
pipeline = [dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='DistantCues', count=1000, seed=0, pipeline=pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='DistantCues', count=200, seed=1, pipeline=pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
