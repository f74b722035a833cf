# Search of the transformations; ends with policy.json in the work directory.
_base_ = ['./repeat-4f-gsf_fcn_r18-d4_digits-48x48.py', '../_base_/search.py']
max_iters = 90
model = dict(
    data_preprocessor=dict(
        cell=dict(type='mmdas.DASCell', space='paper', share_strength=True, ranges={{_base_.half_ranges}})
    )
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='mmdas.HoldoutDataset', part='weights', dataset={{_base_.train_dataloader.dataset}}
    )
)
train_cfg = dict(
    _delete_=True,
    type='mmdas.IterBasedSearchLoop',
    max_iters=max_iters,
    warmup_iters=30,
    val_interval=10 * max_iters,
    selection=dict(type='mmdas.PerturbationSelection', num_batches=2, tune=1),
    criterion='loss',
)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmdas.SearchOptimWrapperConstructor',
    # Not the training's SGD: its rate needs a warm-up, and the steps between two decisions a rate that is low at once.
    weights=dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01)),
    policy=dict(optimizer={{_base_.quick_policy_optimizer}}),
)
param_scheduler = dict(
    _delete_=True,
    weights=[dict(type='CosineAnnealingLR', T_max=max_iters, end=max_iters, eta_min=1e-3, by_epoch=False)],
    policy=[],
)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=10))
custom_hooks = {{_base_.search_hooks}}
