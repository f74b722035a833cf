# Puzzle Mix: of two images the blocks that matter (Kim et al. 2020).
_base_ = ['../camvid/pspnet_r18-d8_camvid-240x180.py']
augments = [dict(type='mmdas.PuzzleMix')]
model = dict(data_preprocessor=dict(type='mmdas.DASSegDataPreProcessor', augments=augments))
