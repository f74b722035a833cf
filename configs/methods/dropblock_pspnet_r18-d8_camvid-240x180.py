# DropBlock: square blocks of features become zero (Ghiasi et al. 2018).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.DropBlock'))]
