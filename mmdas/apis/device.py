"""What the device of a run decides: synchronised norms, how processes talk, mixed precision."""

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from mmdas.registry import type_name

from .config_files import iterate_dicts

# Devices that MMEngine's AmpOptimWrapper and its `init_dist` refuse and that synchronised batch norm fails on.
PLAIN_DEVICES = ('cpu', 'mps')
# Names of synchronised batch norm, in the registry of mmcv and as a class of PyTorch.
SYNC_NORMS = ('SyncBN', 'SyncBatchNorm', 'MMSyncBN')
# The two parts of the optimiser wrapper of a search, each a wrapper of its own.
SEARCH_PARTS = ('weights', 'policy')


def adapt_to_device(cfg: Config) -> None:
    """Fit the config to a machine without GPU; on one with a GPU nothing is changed.

    Synchronised batch norm becomes batch norm (PyTorch has it for GPUs only), and processes talk over gloo.
    """
    if get_device() not in PLAIN_DEVICES:
        return
    norms = [node for _, node in iterate_dicts(cfg.model) if type_name(node) in SYNC_NORMS]
    for norm in norms:
        norm['type'] = 'BN'
    if norms or cfg.get('sync_bn'):
        cfg.sync_bn = None
        print_log(f'no GPU: SyncBN became BN in {len(norms)} places of the model', logger='current')
    if cfg.get('launcher', 'none') != 'none':
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        # MMEngine's default wrapper names a device number, which PyTorch refuses for a model on the CPU.
        cfg.model_wrapper_cfg = {
            'type': 'MMDistributedDataParallel',
            'broadcast_buffers': False,
            'find_unused_parameters': cfg.get('find_unused_parameters', False),
            'device_ids': None,
            **(cfg.get('model_wrapper_cfg') or {}),
        }


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision; in a search, weights and policy logits both.

    Raises:
        RuntimeError: If this machine has no GPU-like device.
        ValueError: If an optimiser wrapper of the config is of a type that has no mixed-precision twin.
    """
    device = get_device()
    if device in PLAIN_DEVICES:
        raise RuntimeError(
            f'--amp needs a GPU, this run would be on the device "{device}"; leave --amp away, '
            'or see what `python tools/check_env.py` says of your GPU'
        )
    wrapper = cfg.optim_wrapper
    for part in [wrapper[name] for name in SEARCH_PARTS if name in wrapper] or [wrapper]:
        kind = type_name(part) or 'OptimWrapper'
        if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError(f'--amp goes with optim_wrapper.type "OptimWrapper", the config has "{kind}"')
        part['type'] = 'AmpOptimWrapper'
        part.setdefault('loss_scale', 'dynamic')


def check_precision(cfg: Config) -> None:
    """Check that a training in mixed precision has the GPU that MMEngine's optimiser wrapper asks for.

    Raises:
        ValueError: with the place of the wrapper and the remedy.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    parts = {f'optim_wrapper.{name}': wrapper[name] for name in SEARCH_PARTS if name in wrapper}
    for place, part in (parts or {'optim_wrapper': wrapper}).items():
        if type_name(part) == 'AmpOptimWrapper' and get_device() in PLAIN_DEVICES:
            raise ValueError(
                f'{place}.type is AmpOptimWrapper, which needs a GPU, and this run would be on the device '
                f'"{get_device()}"; set {place}.type to OptimWrapper, without its loss_scale and dtype'
            )
