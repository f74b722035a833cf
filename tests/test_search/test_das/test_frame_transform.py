import pytest
import torch
from torch import Tensor

from mmdas.ops import affine, photometric
from mmdas.search.das import OPERATIONS, FrameTransform, get_operation

RANDOM = ['noise', 'cutout']
STRENGTHS = {name: 0.7 * operation.high for name, operation in OPERATIONS.items()}
STEADY = [name for name in OPERATIONS if name not in RANDOM]
CHANGING = [name for name in OPERATIONS if name != 'identity']


def random_images(n: int = 2, size: tuple[int, int] = (9, 13), dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def run(transform: FrameTransform, name: str, images: Tensor) -> Tensor:
    """Transform the frames of repeated images (B, C, H, W) -> (T, B, C, H, W)."""
    frames = images.expand(transform.num_frames, *images.shape)
    return transform(frames, get_operation(name), torch.tensor(STRENGTHS[name], dtype=torch.float64), draw=5)


def frame_by_hand(name: str, image: Tensor, offset: int, padding: str) -> Tensor:
    """One frame (C, H, W) at a signed or absolute distance, by the function of the operation alone."""
    strength = STRENGTHS[name]
    if name == 'horizontal_flip':
        return image.flip(-1) if round(strength * offset) % 2 else image
    magnitude = (1 + strength) ** offset - 1 if name == 'scale' else strength * offset
    options = {'padding': padding} if hasattr(affine, name) else {}
    function = getattr(affine if hasattr(affine, name) else photometric, name)
    return function(image[None], torch.tensor([magnitude], dtype=image.dtype), **options)[0]


@pytest.mark.parametrize('padding', affine.PADDINGS)
@pytest.mark.parametrize('ramp', ['signed', 'mirrored'])
@pytest.mark.parametrize('num_frames', [2, 3, 4])
@pytest.mark.parametrize('name', [name for name in STEADY if name != 'identity'])
def test_every_frame_equals_the_operation_on_it_alone(name: str, num_frames: int, ramp: str, padding: str) -> None:
    images = random_images()
    frames = run(FrameTransform(num_frames, ramp, padding), name, images)
    for t in range(num_frames):
        offset = abs(t - num_frames // 2) if ramp == 'mirrored' else t - num_frames // 2
        expected = torch.stack([frame_by_hand(name, image, offset, padding) for image in images])
        torch.testing.assert_close(frames[t], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('num_frames', [1, 2, 3, 8])
@pytest.mark.parametrize('name', OPERATIONS)
def test_reference_frame_is_untouched_bit_for_bit(name: str, num_frames: int, training: bool) -> None:
    images = random_images(dtype=torch.float32)
    frames = run(FrameTransform(num_frames).train(training), name, images)
    assert torch.equal(frames[num_frames // 2], images)


@pytest.mark.parametrize('name', CHANGING)
def test_every_other_frame_is_changed(name: str) -> None:
    images = random_images(size=(31, 33))
    frames = run(FrameTransform(4), name, images)
    changed = (frames - images).abs().amax(dim=(1, 2, 3, 4)) > 0
    assert changed.tolist() == [True, True, False, True]


@pytest.mark.parametrize('size', [(9, 13), (31, 17)])
@pytest.mark.parametrize('name', ['translate_x', 'translate_y', 'cutout'])
def test_shares_of_a_side_count_in_the_reference_size(name: str, size: tuple[int, int]) -> None:
    images, reference = random_images(size=size), (20, 40)
    side = {'translate_x': 1, 'translate_y': 0}.get(name)
    ratio = min(reference) / min(size) if side is None else reference[side] / size[side]
    frames = run(FrameTransform(3, reference_size=reference).eval(), name, images)
    strength = torch.tensor(STRENGTHS[name] * ratio, dtype=torch.float64)
    plain = FrameTransform(3).eval()(images.expand(3, *images.shape), get_operation(name), strength, draw=5)
    torch.testing.assert_close(frames, plain)


@pytest.mark.parametrize('name', RANDOM)
def test_random_operations_repeat_in_evaluation(name: str) -> None:
    images = random_images()
    first = run(FrameTransform(3, seed=3).eval(), name, images)
    torch.manual_seed(1)
    assert torch.equal(run(FrameTransform(3, seed=3).eval(), name, images), first)
    assert not torch.equal(run(FrameTransform(3, seed=4).eval(), name, images), first)


@pytest.mark.parametrize('name', RANDOM)
def test_evaluation_leaves_the_global_generator_alone(name: str) -> None:
    state = torch.get_rng_state()
    run(FrameTransform(3).eval(), name, random_images())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('name', OPERATIONS)
def test_evaluation_does_not_depend_on_the_batch(name: str) -> None:
    images, transform = random_images(3), FrameTransform(3).eval()
    together = run(transform, name, images)
    for index in range(3):
        torch.testing.assert_close(together[:, index], run(transform, name, images[index : index + 1])[:, 0])


@pytest.mark.parametrize('name', RANDOM)
def test_random_operations_draw_afresh_in_training(name: str) -> None:
    image = random_images(1, size=(31, 33))
    transform = FrameTransform(3)
    torch.manual_seed(0)
    first, second = (run(transform, name, image.expand(2, -1, -1, -1)) for _ in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0, 0], first[0, 1])  # another draw for every image
    torch.manual_seed(0)
    assert torch.equal(run(transform, name, image.expand(2, -1, -1, -1)), first)


@pytest.mark.parametrize('name', RANDOM)
def test_draw_number_tells_random_operations_apart(name: str) -> None:
    frames, transform = random_images(size=(31, 33)).expand(3, 2, 3, 31, 33), FrameTransform(3).eval()
    strength = torch.tensor(STRENGTHS[name])
    first, second = (transform(frames, get_operation(name), strength, draw) for draw in (1, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize('name', OPERATIONS)
def test_channels_last_images_give_the_same_frames(name: str) -> None:
    images, transform = random_images(), FrameTransform(3).eval()
    expected = run(transform, name, images)
    torch.testing.assert_close(run(transform, name, images.to(memory_format=torch.channels_last)), expected)


@pytest.mark.parametrize('name', OPERATIONS)
def test_autocast_does_not_change_the_frames(name: str) -> None:
    images, transform = random_images(dtype=torch.float32), FrameTransform(3).eval()
    expected = run(transform, name, images)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(run(transform, name, images), expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', STEADY)
def test_half_precision_images_keep_their_type_and_place(name: str, dtype: torch.dtype) -> None:
    images = random_images(size=(96, 160), dtype=dtype)  # a coordinate near the border has a step of a third of a pixel
    transform = FrameTransform(3).eval()
    frames = run(transform, name, images)
    assert frames.dtype == dtype
    error = (frames.double() - run(transform, name, images.double())).abs()
    assert error.mean() < 4e-3


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('name', [name for name in OPERATIONS if name != 'equalize'])  # torchvision's needs values
def test_frames_need_no_wait_for_the_device(name: str, training: bool) -> None:
    """Tensors of the meta device have no values: code that reads one fails."""
    transform = FrameTransform(3).train(training).to('meta')
    frames = torch.rand(3, 2, 3, 9, 13, device='meta')
    assert transform(frames, get_operation(name), torch.tensor(0.1, device='meta')).shape == frames.shape


def test_module_moves_to_double_precision() -> None:
    transform = FrameTransform(3).double()
    assert run(transform, 'brightness', random_images()).dtype == torch.float64


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_frames': 0}, 'num_frames.*0'),
        ({'ramp': 'up'}, "ramp.*'up'"),
        ({'padding': 'circular'}, "padding.*'circular'"),
    ],
)
def test_unusable_option_is_refused_at_once(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameTransform(**{'num_frames': 3, **options})


def test_integer_images_are_refused() -> None:
    with pytest.raises(ValueError, match='floating point, got torch.uint8'):
        run(FrameTransform(3), 'rotate', torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
