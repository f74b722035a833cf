import numpy as np
import pytest
import torch

from mmdas.models.heads import TemporalPooling
from mmdas.models.heads.temporal_pooling import pool_structure

B, K = 2, 5


def pool_by_numpy(mode, x, num_frames, weight=None, bias=0.0):
    """The definition, image by image."""
    frames = x.numpy().reshape(B, num_frames, *x.shape[1:])
    if mode == 'mean':
        return frames.mean(1)
    if mode == 'max':
        return frames.max(1)
    if mode == 'reference':
        return frames[:, num_frames // 2]
    scores = np.einsum('k,btk...->bt...', weight, frames) + bias
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return np.einsum('bt...,btk...->bk...', shares, frames)


@pytest.mark.parametrize('shape', [(K,), (K, 3, 4)], ids=['scores', 'maps'])
@pytest.mark.parametrize('num_frames', [2, 3, 8])
@pytest.mark.parametrize('mode', ['mean', 'max', 'reference', 'attention'])
def test_modes_equal_their_definition(mode, num_frames, shape):
    pooling = TemporalPooling(num_frames, mode, K).double()
    weight, bias = None, 0.0
    if mode == 'attention':
        torch.nn.init.normal_(pooling.score.weight)
        torch.nn.init.normal_(pooling.score.bias)
        weight, bias = pooling.score.weight.detach().numpy()[0], pooling.score.bias.item()
    x = torch.randn(B * num_frames, *shape, dtype=torch.float64)
    expected = pool_by_numpy(mode, x, num_frames, weight, bias)
    np.testing.assert_allclose(pooling(x).detach().numpy(), expected, rtol=1e-12, atol=1e-14)


def test_attention_starts_as_the_mean_and_learns():
    x = torch.randn(B * 4, K, 3, 3)
    attention = TemporalPooling(4, 'attention', K)
    torch.testing.assert_close(attention(x), TemporalPooling(4)(x))
    attention(x).square().sum().backward()
    assert attention.score.weight.grad.abs().min() > 0


@pytest.mark.parametrize('mode', ['mean', 'max', 'attention'])
def test_order_of_the_frames_does_not_matter(mode):
    x = torch.randn(B, 4, K, 3, 3)
    pooling = TemporalPooling(4, mode, K)
    if mode == 'attention':
        torch.nn.init.normal_(pooling.score.weight)
    shuffled = x[:, [2, 0, 3, 1]]
    torch.testing.assert_close(pooling(shuffled.flatten(0, 1)), pooling(x.flatten(0, 1)))


@pytest.mark.parametrize('mode', ['mean', 'max', 'reference', 'attention'])
def test_one_frame_passes_without_parameters(mode):
    pooling, x = TemporalPooling(1, mode, K), torch.randn(B, K)
    assert pooling(x) is x
    assert not list(pooling.parameters())


@pytest.mark.parametrize('mode', ['mean', 'max', 'reference', 'attention'])
def test_images_do_not_leak_into_each_other(mode):
    pooling, x = TemporalPooling(3, mode, K), torch.randn(B * 3, K, 2, 2)
    changed = torch.cat([x[:3] + 1, x[3:]])
    assert torch.equal(pooling(changed)[1], pooling(x)[1])
    assert not torch.equal(pooling(changed)[0], pooling(x)[0])


def test_structures_are_pooled_tensor_by_tensor():
    x = torch.randn(B * 2, K)
    pooled = pool_structure({'a': [x, (x, None)]}, TemporalPooling(2))
    mean = x.view(B, 2, K).mean(1)
    assert torch.equal(pooled['a'][0], mean)
    assert torch.equal(pooled['a'][1][0], mean)
    assert pooled['a'][1][1] is None


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_frames=0), 'num_frames must be at least 1, got 0'),
        (dict(num_frames=4, mode='median'), "pooling must be one of .*got 'median'"),
        (dict(num_frames=4, mode='attention'), 'needs the number of classes'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TemporalPooling(**options)


def test_batch_that_is_not_made_of_clips():
    with pytest.raises(ValueError, match='6 frames do not divide into clips of num_frames=4'):
        TemporalPooling(4)(torch.randn(6, K))
