# ADL: the places of highest attention are dropped (Choe and Shim 2019).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.ADL'))]
