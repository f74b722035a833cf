"""Whether a computation is recorded for later."""

import torch


def is_recorded() -> bool:
    """Whether the computation is traced, exported, compiled or transformed by ``torch.func``.

    Then nothing may be kept from call to call: a tensor that is made inside a transform of ``torch.func`` is of no use
    outside of it.
    """
    return torch.jit.is_tracing() or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
