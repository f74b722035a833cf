# Eight frames instead of four.
_base_ = ['./search-4f-gsf_resnet18-quarter_cifar10-reduced.py']
num_frames = 8
data_preprocessor = dict(num_frames=num_frames)
model = dict(backbone=dict(num_frames=num_frames), head=dict(num_frames=num_frames))
