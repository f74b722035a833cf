"""CAM tools, which know nothing of frames, give one map for each image."""

import pytest
import torch
from deployed_models import CHAIN, SIZE, T, build_small
from torch import nn

from mmdas.deploy import DeployableNetwork, ReferenceMaps
from mmdas.ops.clip import reference_frame


@pytest.fixture(scope='module')
def network() -> DeployableNetwork:
    torch.manual_seed(0)
    return DeployableNetwork(build_small('cls', CHAIN, None), pixels=False).requires_grad_(True)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, *SIZE)


def grad_cam(network: nn.Module, images: torch.Tensor, label: int) -> torch.Tensor:
    """relu(sum of the channels, weighed by their mean gradients) of every map of the last block (Selvaraju 2017)."""
    kept: list[torch.Tensor] = []
    hook = network.model.backbone.register_forward_hook(lambda module, inputs, output: kept.append(output[-1]))
    scores = network(images)[:, label]
    hook.remove()
    (gradient,) = torch.autograd.grad(scores.sum(), kept[0])
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * kept[0]).sum(1).relu().detach()  # (B*T, h, w)


def test_maps_are_those_of_the_reference_frame_of_each_image(network, images):
    maps = grad_cam(network, images, 1)
    assert len(maps) == len(images) * T
    own = ReferenceMaps(T)(maps)
    for index in range(len(images)):
        (only,) = ReferenceMaps(T)(grad_cam(network, images[index : index + 1], 1))
        torch.testing.assert_close(own[index], only)
        assert torch.equal(own[index], maps[index * T + reference_frame(T)])


def test_maps_of_other_numbers_are_refused():
    with pytest.raises(ValueError, match='5 frames do not divide into clips of num_frames=2'):
        ReferenceMaps(2)(torch.rand(5, 4, 4))


def test_pytorch_grad_cam_gives_a_map_for_each_image(network, images):
    package = pytest.importorskip('pytorch_grad_cam', reason='grad-cam is not installed')
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = network.model.backbone.layer1[-1]
    with package.GradCAM(network, [layer], reshape_transform=ReferenceMaps(T)) as cam:
        maps = torch.from_numpy(cam(images, [ClassifierOutputTarget(1)] * 3))
    assert maps.shape == (3, *SIZE)
    own = ReferenceMaps(T)(grad_cam(network, images, 1))
    wide = nn.functional.interpolate(own[:, None], SIZE, mode='bilinear', align_corners=False)[:, 0]
    assert torch.corrcoef(torch.stack([maps.flatten(), wide.flatten()]))[0, 1] > 0.9


def test_maps_of_torchcam_become_those_of_the_images(network, images):
    methods = pytest.importorskip('torchcam.methods', reason='torchcam is not installed')
    with methods.GradCAM(network, network.model.backbone.layer1[-1], input_shape=(3, *SIZE)) as extractor:
        (maps,) = extractor(1, network(images), normalized=False)
    torch.testing.assert_close(ReferenceMaps(T)(maps), ReferenceMaps(T)(grad_cam(network, images, 1)))
