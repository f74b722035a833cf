import sys

import torch
from tool_scripts import load_script

tool = load_script('visualization/aligned_fusion.py')


def test_aligned_features_lie_on_those_of_the_frame_and_the_file_is_small(tmp_path, monkeypatch):
    scenes = tool.scenes(3, 0)
    monkeypatch.setattr(tool, 'scenes', lambda count, seed: scenes[:count])
    for operation in tool.OPERATIONS.values():
        *_, displaced, aligned = tool.row_of(scenes[0], *operation)
        inner = (slice(None), slice(12, -12), slice(12, -12))
        apart = [(picture[0] - picture[1])[inner[1:]].abs().mean() for picture in (displaced, aligned)]
        assert apart[1] < 0.5 * apart[0]
        assert torch.equal(aligned[1], aligned[2])
    path = tmp_path / 'folder' / 'aligned.png'
    monkeypatch.setattr(sys, 'argv', ['aligned_fusion.py', str(path)])
    tool.main()
    assert 0 < path.stat().st_size < 150_000
