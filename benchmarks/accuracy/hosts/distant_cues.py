# Scenes whose cue is at least 31 pixels above what it decides, for the network of camvid_narrow.py, a pixel of whose
# prediction sees at most 30 pixels in every direction.
_base_ = './camvid_narrow.py'
custom_imports = dict(imports=['benchmarks.accuracy.distant_cues'], allow_failed_imports=False)
model = dict(data_preprocessor=dict(size=(144, 64)), decode_head=dict(num_classes=2))
scenes = dict(_delete_=True, type='DistantCues', pipeline=[dict(type='PackSegInputs')])
train_dataloader = dict(dataset=dict(**scenes, count=1000, seed=0))
val_dataloader = dict(dataset=dict(**scenes, count=200, seed=1))
test_dataloader = val_dataloader
