"""MMEngine's ``compile`` setting: a compiled search, of which a training is a part, is the one that is not compiled."""

import pytest
import torch
from toy_search import cell_config, iter_search, read_policy, run, seg_model

from mmdas.engine.utils import unwrap


@pytest.mark.slow
def test_a_compiled_search_is_that_of_the_plain_code(tmp_path):
    weights, policies = [], []
    for name, options in {'plain': {}, 'compiled': {'compile': {'backend': 'eager'}}}.items():  # without generated code
        model = seg_model(cell_config(space=['identity', 'rotate']))
        runner = run(iter_search(tmp_path / name, model=model, **options))
        weights.append(unwrap(runner.model).state_dict())
        policies.append(read_policy(runner)['edges'])
    torch.testing.assert_close(*weights)
    assert policies[0] == policies[1]
