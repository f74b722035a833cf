# Training with the searched policy; run the search first.
_base_ = ['./repeat-4f-gsf_convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py']
model = dict(
    data_preprocessor=dict(
        policy='work_dirs/search-4f-gsf_convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512/policy.json',
    ),
)
