# MixStyle: channels take the mean and deviation of another image's (Zhou et al. 2021).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.MixStyle'))]
