# Search of the transformations; ends with policy.json in the work directory.
_base_ = [
    './repeat-4f-gsf_mobilenet-v2-d8_deeplabv3plus_4xb2-80k_cityscapes-512x1024.py',
    'mmdas::_base_/search.py',
]
max_iters = 8000
model = dict(
    data_preprocessor=dict(
        cell=dict(
            type='mmdas.DASCell',
            space='paper',
            share_strength=True,
            ranges={{_base_.half_ranges}},
        ),
    ),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmdas.HoldoutDataset',
        part='weights',
        dataset={{_base_.train_dataloader.dataset}},
    ),
)
train_cfg = dict(
    _delete_=True,
    type='mmdas.IterBasedSearchLoop',
    max_iters=max_iters,
    warmup_iters=2000,
    val_interval=10 * max_iters,
    selection=dict(type='mmdas.ArgmaxSelection'),
    criterion='loss',
)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmdas.SearchOptimWrapperConstructor',
    weights={{_base_.optim_wrapper}},
    policy=dict(optimizer={{_base_.policy_optimizer}}),
)
param_scheduler = dict(
    _delete_=True,
    weights=[
        dict(
            type='CosineAnnealingLR',
            T_max=max_iters,
            end=max_iters,
            eta_min_ratio=0.1,
            by_epoch=False,
        ),
    ],
    policy=[],
)
custom_hooks = {{_base_.search_hooks}}
randomness = dict(seed=0)
