# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_resnet50_8xb16_tiny-imagenet.py']
data_preprocessor = dict(
    policy='work_dirs/search-4f-gsf_resnet50_8xb16_tiny-imagenet/policy.json',
)
