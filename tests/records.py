"""State dicts as they were before modules recorded their settings."""

from torch import Tensor, nn

from mmdas.models.settings import KEY


def without_records(module: nn.Module) -> dict[str, Tensor]:
    """State of a module without its records: that of a plain host or of an older release."""
    return {name: value for name, value in module.state_dict().items() if not name.endswith(KEY)}
