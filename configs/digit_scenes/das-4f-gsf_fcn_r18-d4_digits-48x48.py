# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_fcn_r18-d4_digits-48x48.py']
model = dict(data_preprocessor=dict(policy='work_dirs/search-4f-gsf_fcn_r18-d4_digits-48x48/policy.json'))
