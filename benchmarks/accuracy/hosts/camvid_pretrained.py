# CamVid's small network whose backbone starts from the classifier of `python -m benchmarks.accuracy.pretrain`.
_base_ = './camvid.py'
pretrained = dict(type='Pretrained', checkpoint='work_dirs/accuracy/pretrained.pth', prefix='backbone.')
model = dict(backbone=dict(init_cfg=pretrained))
