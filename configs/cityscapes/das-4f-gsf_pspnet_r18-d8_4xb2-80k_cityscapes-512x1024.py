# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py']
model = dict(
    data_preprocessor=dict(
        policy='work_dirs/search-4f-gsf_pspnet_r18-d8_4xb2-80k_cityscapes-512x1024/policy.json',
    ),
)
