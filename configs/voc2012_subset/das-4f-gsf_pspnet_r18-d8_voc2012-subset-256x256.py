# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_pspnet_r18-d8_voc2012-subset-256x256.py']
model = dict(data_preprocessor=dict(policy='work_dirs/search-4f-gsf_pspnet_r18-d8_voc2012-subset-256x256/policy.json'))
