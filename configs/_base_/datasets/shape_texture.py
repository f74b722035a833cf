# Digits with textures, made in memory. Flips and crops are left out: they change what stripes and digits mean.
pack = dict(type='PackInputs', algorithm_keys=['gt_texture'])
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mmdas.ShapeTextureDigits', split='train', size=20, pipeline=[pack]),
)
val_dataloader = dict(
    batch_size=200,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mmdas.ShapeTextureDigits', split='test', per_class=27, size=20, pipeline=[pack]),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='Accuracy', topk=(1,)), dict(type='mmdas.ShapeBias')]
test_evaluator = val_evaluator
data_preprocessor = dict(num_classes=10, mean=[125.0, 125.0, 125.0], std=[45.0, 45.0, 45.0], to_rgb=False)
