"""Two optimisers for the bilevel search: one for the weights, one for the policy."""

import copy

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmdas.engine.utils import find_searchable, unwrap
from mmdas.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SearchOptimWrapperConstructor:
    """Build an ``OptimWrapperDict`` with the keys ``weights`` and ``policy``.

    Args:
        optim_wrapper_cfg: ``dict(weights=dict(...), policy=dict(...))``, each the config of an optimiser wrapper as a
            plain training has it; ``weights`` may name a ``constructor`` and a ``paramwise_cfg`` of its own.
        paramwise_cfg: not used here; set it within ``weights``.

    Raises:
        ValueError: for other keys, gradient accumulation, or a model with nothing to search.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise ValueError('set paramwise_cfg within optim_wrapper.weights, not beside it')
        keys = set(optim_wrapper_cfg) - {'type'}
        if keys != {'weights', 'policy'}:
            raise ValueError(f'optim_wrapper of a search has the keys weights and policy, got {sorted(keys)}')
        for name in ('weights', 'policy'):
            counts = optim_wrapper_cfg[name].get('accumulative_counts', 1)
            if counts != 1:
                raise ValueError(f'a search does not accumulate gradients; optim_wrapper.{name} has {counts}')
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        host = unwrap(model)
        searchable = find_searchable(host)
        policy = searchable.policy_parameters()
        return OptimWrapperDict(
            weights=self._build_weights(host, {id(parameter) for parameter in policy}),
            policy=with_rates(self._build_policy(nn.ParameterList(policy)), searchable.policy_groups()),
        )

    def _build_weights(self, host: nn.Module, policy: set[int]) -> OptimWrapper:
        cfg = copy.deepcopy(dict(self.cfg['weights']))
        constructor = MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(
                type=cfg.pop('constructor', 'DefaultOptimWrapperConstructor'),
                paramwise_cfg=cfg.pop('paramwise_cfg', None),
                optim_wrapper_cfg=cfg,
            )
        )
        wrapper = constructor(host)
        for group in wrapper.optimizer.param_groups:
            group['params'] = [parameter for parameter in group['params'] if id(parameter) not in policy]
        wrapper.optimizer.param_groups[:] = [group for group in wrapper.optimizer.param_groups if group['params']]
        return wrapper

    def _build_policy(self, policy: nn.ParameterList) -> OptimWrapper:
        cfg = copy.deepcopy(dict(self.cfg['policy']))
        cfg.setdefault('type', 'OptimWrapper')
        constructor = MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(type='DefaultOptimWrapperConstructor', optim_wrapper_cfg=cfg)
        )
        return constructor(policy)


def with_rates(wrapper: OptimWrapper, groups: list[tuple[list[nn.Parameter], float]]) -> OptimWrapper:
    """The wrapper with a learning rate of its own for each group of parameters."""
    if len(groups) > 1:
        (common,) = wrapper.optimizer.param_groups
        wrapper.optimizer.param_groups[:] = [
            {**common, 'params': parameters, 'lr': factor * common['lr']} for parameters, factor in groups
        ]
    return wrapper
