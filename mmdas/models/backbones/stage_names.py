"""The stages of the hosts' backbones, by the paths of their modules."""

import re

_STAGE = re.compile(r'^(?:layers?|stages?|network)\.?\d+')


def stage_of(path: str) -> str:
    """Part of the path of a module that names its stage, such as ``layer3`` or ``stages.2``."""
    match = _STAGE.match(path)
    return match.group() if match else path.split('.')[0]
