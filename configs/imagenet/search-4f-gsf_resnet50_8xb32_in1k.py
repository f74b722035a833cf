# Search of the transformations; ends with policy.json in the work directory.
_base_ = ['./repeat-4f-gsf_resnet50_8xb32_in1k.py', 'mmdas::_base_/search.py']
max_epochs = 10
data_preprocessor = dict(
    cell=dict(
        type='mmdas.DASCell',
        space='paper',
        share_strength=True,
        ranges={{_base_.half_ranges}},
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
    type='mmdas.EpochBasedSearchLoop',
    max_epochs=max_epochs,
    warmup_epochs=2,
    val_interval=10 * max_epochs,
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
            T_max=max_epochs,
            end=max_epochs,
            eta_min_ratio=0.1,
            convert_to_iter_based=True,
        ),
    ],
    policy=[],
)
custom_hooks = {{_base_.search_hooks}}
randomness = dict(seed=0)
