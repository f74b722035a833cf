# The host's CIFAR-10 pipelines on the reduced set: 4,660 training and 486 test images with their original pixels.
_base_ = ['mmpretrain::_base_/datasets/cifar10_bs16.py']
dataset_type = 'mmdas.ReducedCIFAR10'
data_root = 'data/cifar10-reduced'
train_dataloader = dict(
    batch_size=64, num_workers=0, persistent_workers=False, dataset=dict(type=dataset_type, data_root=data_root)
)
val_dataloader = dict(
    batch_size=128, num_workers=0, persistent_workers=False, dataset=dict(type=dataset_type, data_root=data_root)
)
test_dataloader = val_dataloader
