# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_resnet50_8xb32_in1k.py']
data_preprocessor = dict(policy='work_dirs/search-4f-gsf_resnet50_8xb32_in1k/policy.json')
