# Eight frames instead of four.
_base_ = ['./repeat-4f-gsf_pspnet_r18-d8_camvid-240x180.py']
num_frames = 8
model = dict(
    data_preprocessor=dict(num_frames=num_frames),
    backbone=dict(num_frames=num_frames),
    decode_head=dict(num_frames=num_frames),
    auxiliary_head=dict(num_frames=num_frames),
)
