# CamVid with the first stage alone: a pixel of the prediction sees at most 55 x 55 pixels of an image of 128 x 96
# (96 x 96 in training), where the three stages see all of it. If a wider receptive field helps anywhere, then here.
_base_ = './camvid.py'
model = dict(
    backbone=dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)),
    decode_head=dict(in_channels=16, in_index=0, channels=16, num_convs=0),
)
