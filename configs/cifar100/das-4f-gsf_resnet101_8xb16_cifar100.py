# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_resnet101_8xb16_cifar100.py']
data_preprocessor = dict(
    policy='work_dirs/search-4f-gsf_resnet101_8xb16_cifar100/policy.json',
)
