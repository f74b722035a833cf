# PSPNet on a ResNet-18 of full width with all of CamVid at 240 x 180, from scratch, on one GPU in mixed precision, at a
# constant rate.
_base_ = '../../../configs/camvid/pspnet_r18-d8_camvid-240x180.py'
model = dict(
    backbone=dict(base_channels=64, stem_channels=64),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64),
)
train_dataloader = dict(num_workers=3)
val_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    dataset=dict(data_prefix=dict(img_path='test', seg_map_path='testannot')),
)
test_dataloader = val_dataloader
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    loss_scale=1.0,
    optimizer=dict(lr=5e-4),
)
default_hooks = dict(logger=dict(interval=1000), checkpoint=None)
env_cfg = dict(cudnn_benchmark=True)
