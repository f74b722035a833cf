import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn
from toy_search import cell_config, cls_model, optimizers

from mmdas.engine.optimizers import SearchOptimWrapperConstructor


def build_model(**cell) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cls_model(cell_config(**cell)))


def parameters_in(wrapper: OptimWrapper) -> list[int]:
    return [id(parameter) for group in wrapper.optimizer.param_groups for parameter in group['params']]


PARAMWISE = dict(norm_decay_mult=0.0, custom_keys={'head': dict(lr_mult=10.0)})


@pytest.mark.parametrize('strength', ['fixed', 'learned'])
@pytest.mark.parametrize('paramwise', [None, PARAMWISE])
def test_every_parameter_is_in_exactly_one_optimizer(strength, paramwise):
    model = build_model(strength=strength)
    wrappers = build_optim_wrapper(model, optimizers(paramwise_cfg=paramwise))
    policy = {id(parameter) for parameter in model.data_preprocessor.cell.parameters()}
    weights, logits = parameters_in(wrappers['weights']), parameters_in(wrappers['policy'])
    assert set(logits) == policy
    assert len(policy) == (2 if strength == 'learned' else 1)
    assert sorted(weights + logits) == sorted(id(parameter) for parameter in model.parameters())


def test_settings_by_parameter_hold_for_the_weights():
    model = build_model()
    wrappers = build_optim_wrapper(model, optimizers(paramwise_cfg=PARAMWISE))
    groups = {id(group['params'][0]): group for group in wrappers['weights'].optimizer.param_groups}
    assert groups[id(model.head.fc.weight)]['lr'] == pytest.approx(0.5)
    assert groups[id(model.backbone.conv1.weight)]['lr'] == pytest.approx(0.05)
    assert groups[id(model.backbone.norm1.weight)]['weight_decay'] == 0
    assert all(group['params'] for group in groups.values())


def test_each_part_has_its_own_optimizer_and_clipping():
    wrappers = build_optim_wrapper(build_model(), optimizers())
    assert type(wrappers['weights'].optimizer) is torch.optim.SGD
    assert type(wrappers['policy'].optimizer) is torch.optim.Adam
    assert wrappers['weights'].clip_grad_kwargs == {'max_norm': 5.0}
    assert wrappers['policy'].clip_grad_kwargs is None


@pytest.mark.parametrize('part', ['weights', 'policy'])
def test_accumulated_gradients_are_refused(part):
    config = optimizers()
    config[part]['accumulative_counts'] = 2
    with pytest.raises(ValueError, match=f'does not accumulate gradients; optim_wrapper.{part} has 2'):
        build_optim_wrapper(build_model(), config)


@pytest.mark.parametrize(
    'config', [dict(weights={}), dict(type='OptimWrapper', optimizer={}), dict(weights={}, policy={}, clip_grad={})]
)
def test_other_keys_than_the_two_parts_are_refused(config):
    found = sorted(set(config) - {'type'})
    with pytest.raises(ValueError, match='has the keys weights and policy, got') as error:
        SearchOptimWrapperConstructor(config)
    assert str(found) in str(error.value)


def test_settings_by_parameter_beside_the_parts_are_refused():
    with pytest.raises(ValueError, match='paramwise_cfg within optim_wrapper.weights'):
        build_optim_wrapper(build_model(), dict(optimizers(), paramwise_cfg=PARAMWISE))


def test_a_model_without_a_cell_is_refused():
    model = cls_model()
    model['data_preprocessor']['cell'] = None
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(model)
    with pytest.raises(ValueError, match='a search needs model.data_preprocessor of type mmdas'):
        build_optim_wrapper(model, optimizers())
