# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_resnet18-quarter_cifar10-reduced.py']
data_preprocessor = dict(policy='work_dirs/search-4f-gsf_resnet18-quarter_cifar10-reduced/policy.json')
