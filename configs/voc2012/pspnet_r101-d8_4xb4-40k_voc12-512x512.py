# The 1,464 images with VOC's own labels alone, without the augmented ones.
_base_ = ['mmseg::pspnet/pspnet_r101-d8_4xb4-40k_voc12aug-512x512.py']
train_dataloader = dict(
    _delete_=True,
    batch_size={{_base_.train_dataloader.batch_size}},
    num_workers={{_base_.train_dataloader.num_workers}},
    persistent_workers={{_base_.train_dataloader.persistent_workers}},
    sampler={{_base_.train_dataloader.sampler}},
    dataset={{_base_.dataset_train}},
)
