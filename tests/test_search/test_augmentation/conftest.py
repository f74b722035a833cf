"""Types without a prefix are MMPretrain's here, whatever test has run before."""

import pytest


@pytest.fixture(autouse=True)
def scope(mmpretrain_scope) -> None:
    """As in a run of MMPretrain."""
