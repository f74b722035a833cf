"""Graphs hold what runtimes other than onnxruntime take, too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from deployed_models import CHAIN, SIZE, build_small

from mmdas.deploy import DeployableNetwork, export_program, write_onnx
from mmdas.deploy.description import describe
from mmdas.deploy.graph import PACKAGES
from mmdas.models.fusion.base import FrameFusion

CASES = {
    'TSM': ('seg', CHAIN, 'TemporalShift'),
    'GSM': ('cls', CHAIN, 'GateShift'),
    'GSF': ('seg', CHAIN),
    'aligned GSF': ('seg', CHAIN),
}


@pytest.fixture(scope='module', params=CASES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A graph, and the network that it is of."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f'{package} of the extra `export` is not installed')
    model = build_small(*CASES[request.param])
    for module in model.modules():
        if isinstance(module, FrameFusion):
            module.aligned = request.param.startswith('aligned')
    network = DeployableNetwork(model, 'bgr')
    path = tmp_path_factory.mktemp('graph') / 'model.onnx'
    write_onnx(export_program(network, SIZE), describe(network, SIZE), path)
    return path, network


@pytest.mark.slow
def test_reference_implementation_of_onnx_gives_what_the_model_gives(written: tuple[Path, DeployableNetwork]):
    """It refuses the negative pads that PyTorch's exporter makes of a frame that is cut off by `pad`."""
    from onnx.reference import ReferenceEvaluator

    path, network = written
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, *SIZE)).astype(np.float32)
    (found,) = ReferenceEvaluator(str(path)).run(None, {'images': images})
    with torch.no_grad():
        wanted = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.slow
def test_no_part_is_cut_off_by_a_pad_and_none_is_empty(written: tuple[Path, DeployableNetwork]):
    """Not all runtimes take them; MNN leaves negative pads out, without a word."""
    import onnx

    graph = onnx.load(written[0]).graph
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    checked = {'Pad': 0, 'Split': 0}
    for node in graph.node:
        if node.op_type in checked and len(node.input) > 1 and node.input[1] in known:
            least = known[node.input[1]].min()
            assert least >= 0 if node.op_type == 'Pad' else least > 0, node
            checked[node.op_type] += 1
    assert checked['Pad'] == sum(node.op_type == 'Pad' for node in graph.node), 'pads that are no constants'
