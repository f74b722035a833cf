# KeepRandAugment, Puzzle Mix, DropBlock, together.
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [
    dict(type='mmdas.KeepPaste', policy='randaugment'),
    dict(type='mmdas.PuzzleMix'),
]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
custom_hooks = [dict(type='mmdas.FeatureHook', feature=dict(type='mmdas.DropBlock'))]
