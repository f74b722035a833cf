"""The code of docs/style.md runs and gives what it says."""

import re
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / 'docs' / 'style.md'


def test_code_of_the_page_makes_images_of_its_sizes():
    code = re.search(r'```python\n(# textures.py\n.*?)```', PAGE.read_text(), re.DOTALL)[1]
    names: dict = {}
    exec(code, names)
    assert names['new'].shape == (1, 3, 32, 48) and names['styled'].shape == (1, 3, 32, 32)
    assert names['fast'](torch.rand(1, 3, 20, 24)).shape == (1, 3, 20, 24)
