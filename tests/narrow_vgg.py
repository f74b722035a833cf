"""VGG-19 at an eighth of its width, so that tests of its structure are quick."""

import pytest

from mmdas.style import decoder, vgg

EIGHTH = ((8, 2), (16, 2), (32, 4), (64, 4), (64, 4))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make encoder and decoder narrow."""
    monkeypatch.setattr(vgg, 'BLOCKS', EIGHTH)
    rows = [(place, width // 8, max(channels // 8, 3), up) for place, width, channels, up in decoder.CONVOLUTIONS]
    monkeypatch.setattr(decoder, 'CONVOLUTIONS', tuple(rows))
