# Search of the transformations; ends with policy.json in the work directory.
_base_ = ['./repeat-4f-gsf_fcn_r18-d8_digits-64x64.py']
num_frames = 4
max_iters = 150
model = dict(
    data_preprocessor=dict(
        cell=dict(
            type='mmdas.DASCell',
            space='paper',
            share_strength=True,
            ranges=dict(translate_x=(-0.06, 0.06), translate_y=(-0.06, 0.06), rotate=(-15, 15), scale=(-0.15, 0.15)),
        )
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
    warmup_iters=50,
    val_interval=10000,
    policy_dataloader=dict(
        batch_size=16,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        dataset=dict(
            type='mmdas.HoldoutDataset', part='policy', dataset={{_base_.train_dataloader.dataset}}
        ),
    ),
    selection=dict(type='mmdas.PerturbationSelection', num_batches=1, tune=1),
    criterion='loss',
)
optim_wrapper = dict(
    _delete_=True,
    constructor='mmdas.SearchOptimWrapperConstructor',
    weights=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01),
        clip_grad=dict(max_norm=5),
    ),
    policy=dict(optimizer=dict(type='Adam', lr=3e-3, betas=(0.5, 0.999), weight_decay=1e-3)),
)
param_scheduler = dict(
    _delete_=True,
    weights=[dict(type='CosineAnnealingLR', T_max=max_iters, end=max_iters, eta_min=1e-3, by_epoch=False)],
    policy=[],
)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=10))
custom_hooks = [
    dict(type='mmdas.LabelCheckHook'),
    dict(type='mmdas.SearchProgressHook'),
    dict(type='mmdas.PolicyHook', interval=10),
]
