"""When policies of affine warps are gathered by an operator, and when they are sampled warp by warp."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from cell_reference import random_images
from torch import Tensor

from mmdas.search.das import Policy, PolicyClip, PolicyEdge, policy_clip
from mmdas.search.das.fast import linear_clip

PATIENCE = policy_clip.PATIENCE


def build(num_frames: int = 4, seed: int = 0, **options) -> PolicyClip:
    return PolicyClip(Policy.random(num_frames, 'paper', seed=seed, **options))


@contextmanager
def spied(clip: PolicyClip) -> Iterator[tuple[list, list]]:
    """Sizes of the operators that are made, and of the images that are sampled."""
    builds, samples, operator, sample = [], [], policy_clip.WarpOperator, clip._sample

    def spy_operator(theta, num_frames: int, size: tuple[int, int], *options, **named) -> object:
        builds.append(tuple(size))
        return operator(theta, num_frames, size, *options, **named)

    def spy_sample(images: Tensor, *size: tuple) -> Tensor:
        samples.append(tuple(images.shape[-2:]))
        return sample(images, *size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_clip, 'WarpOperator', spy_operator)
        patch.setattr(clip, '_sample', spy_sample)
        yield builds, samples


def test_training_makes_the_operator_at_once() -> None:
    clip = build().train()
    with spied(clip) as (builds, samples):
        for batch in (1, 3, 2):
            clip(random_images(batch))
    assert builds == [(7, 10)]
    assert not samples


def test_evaluation_makes_the_operator_for_a_size_that_stays() -> None:
    clip = build().eval()
    with spied(clip) as (builds, samples):
        clips = [clip(random_images()) for _ in range(PATIENCE)]
        assert samples == [(7, 10)] * PATIENCE
        assert not builds
        clips += [clip(random_images()) for _ in range(3)]
    assert len(samples) == PATIENCE
    assert builds == [(7, 10)]
    for other in clips[1:]:
        torch.testing.assert_close(other, clips[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize('num_sizes', [2, 3])
def test_evaluation_makes_no_operator_for_sizes_that_alternate(num_sizes: int) -> None:
    clip = build().eval()
    with spied(clip) as (builds, samples):
        for _ in range(2 * PATIENCE):
            for width in range(num_sizes):
                clip(random_images(size=(5, 5 + width)))
    assert not builds
    assert len(samples) == 2 * PATIENCE * num_sizes


def test_operator_of_the_training_serves_the_evaluation() -> None:
    clip = build().train()
    expected = clip(random_images())
    with spied(clip) as (builds, samples):
        assert torch.equal(clip.eval()(random_images()), expected)
    assert not builds + samples


def test_operators_of_two_sizes_are_kept_and_the_one_in_use_stays() -> None:
    clip, (crop, *others) = build().train(), [(6, 6), (4, 5), (5, 4), (3, 8)]
    clip(random_images(size=crop))
    with spied(clip) as (builds, _):
        for size in others:
            clip(random_images(size=size))
            clip(random_images(size=crop))
            assert len(clip._operators._entries) <= 2
        assert builds == others
        clip(random_images(size=others[-1]))
        assert builds == others
        clip(random_images(size=others[0]))
    assert builds == [*others, others[0]]


def test_each_precision_has_an_operator_of_its_own() -> None:
    clip, images = build().train(), random_images()
    with spied(clip) as (builds, _):
        exact, rounded = clip(images), clip(images.float())
    assert builds == [(7, 10)] * 2
    assert (exact.dtype, rounded.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(rounded.double(), exact, atol=1e-6, rtol=0)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_images_in_half_precision_are_sampled(dtype: torch.dtype) -> None:
    clip = build().train()
    with spied(clip) as (builds, samples):
        clip(random_images(dtype=dtype))
    assert samples and not builds


def test_images_with_a_gradient_are_sampled() -> None:
    clip, images = build().train(), random_images()
    expected = clip(images)
    with spied(clip) as (_, samples):
        with_graph = clip(images.requires_grad_())
    assert samples and with_graph.requires_grad
    torch.testing.assert_close(with_graph, expected)


@pytest.mark.parametrize('training', [True, False])
def test_warps_made_in_inference_mode_serve_a_gradient(training: bool) -> None:
    clip, images = build().train(training), random_images()
    with torch.inference_mode():
        clip(images)
    weight = torch.ones((), requires_grad=True)
    (clip(images) * weight).sum().backward()
    (clip(images.requires_grad_()) * weight).sum().backward()
    assert weight.grad and images.grad.any()


def test_warps_that_are_too_large_together_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four taps per path and output pixel, in double precision with 32-bit indices."""
    clip, images = build().train(), random_images()
    expected = clip(images)
    needed = 4 * len(clip.paths) * 3 * 7 * 10 * (8 + 4)
    for limit, too_large in ((needed - 1, True), (needed, False)):
        monkeypatch.setattr(linear_clip, 'MAX_BYTES', limit)
        fresh = copy.deepcopy(clip)
        with spied(fresh) as (builds, samples):
            torch.testing.assert_close(fresh(images), expected)
        assert (bool(samples), bool(builds)) == (too_large, not too_large)


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('training', [True, False])
def test_traced_policy_is_the_sampled_form_for_images_of_any_size(training: bool) -> None:
    clip = build(seed=1).train(training)
    clip(random_images())  # what is kept for this size must not become part of the trace
    with spied(clip) as (builds, samples):
        traced = torch.jit.trace(clip, random_images(), check_trace=False)
    assert samples and not builds
    for images in (random_images(), random_images(3), random_images(size=(12, 9))):
        torch.testing.assert_close(traced(images), build(seed=1)(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('any_size', [True, False])
@pytest.mark.slow
def test_exported_policy_gives_the_same_clip(any_size: bool, training: bool) -> None:
    images, other = random_images(), random_images(3, (12, 9))
    dimensions = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    clip = build(seed=1).train(training)
    exported = torch.export.export(
        clip, (images,), strict=False, dynamic_shapes=(dimensions,) if any_size else None
    ).module()
    for size in (images, other) if any_size else (images,):
        torch.testing.assert_close(exported(size), build(seed=1)(size))


def test_policy_that_was_exported_is_as_before() -> None:
    """What stands for tensors meanwhile must not be kept."""
    clip, images = build(seed=1).eval(), random_images()
    torch.export.export(clip, (images,), strict=False)
    assert torch.equal(clip(images), build(seed=1).eval()(images))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda clip: pickle.loads(pickle.dumps(clip))])
def test_copy_gives_the_same_clip_with_operators_of_its_own(duplicate: Callable) -> None:
    clip = build().train()
    expected = clip(random_images())
    clip(random_images().requires_grad_())
    copied = duplicate(clip)
    assert not copied._operators._entries and not copied._warps._entries
    assert clip._operators._entries and clip._warps._entries
    with spied(copied) as (builds, _):
        assert torch.equal(copied(random_images()), expected)
    assert builds == [(7, 10)]


def test_pickled_policy_is_not_larger_for_its_operators() -> None:
    clip = build().train()
    size = len(pickle.dumps(clip))
    clip(random_images(size=(40, 40)))
    clip.eval()(random_images(size=(41, 41)))
    assert len(pickle.dumps(clip)) <= size + 100


def test_nodes_that_lead_nowhere_do_not_make_a_policy_of_warps_another() -> None:
    edges = [PolicyEdge(0, 2, 'invert', 0.2), PolicyEdge(1, 3, 'rotate', 9.0), PolicyEdge(0, 4, 'rotate', 5.0)]
    clip = PolicyClip(Policy(3, 4, (*edges, PolicyEdge(3, 5, 'scale', 0.1)))).train()
    with spied(clip) as (builds, samples):
        clip(random_images())
    assert builds and not samples
    assert clip.paths == {(('rotate', 9.0), ('scale', 0.1)): 1.0}


def test_policy_with_colours_keeps_nothing() -> None:
    clip = PolicyClip(Policy(3, 1, (PolicyEdge(0, 2, 'rotate', 9.0), PolicyEdge(1, 2, 'invert', 0.2)))).train()
    with spied(clip) as (builds, samples):
        clip(random_images())
    assert not builds + samples
