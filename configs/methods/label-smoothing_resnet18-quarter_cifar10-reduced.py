# Label smoothing: 0.1 of the probability is shared by all classes (Szegedy et al. 2016).
_base_ = ['../cifar10_reduced/resnet18-quarter_cifar10-reduced.py']
model = dict(head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
