# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_deeplabv3plus_r50-d8_4xb4-40k_voc12aug-512x512.py']
model = dict(
    data_preprocessor=dict(
        policy='work_dirs/search-4f-gsf_deeplabv3plus_r50-d8_4xb4-40k_voc12aug-512x512/policy.json',
    ),
)
