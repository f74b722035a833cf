"""The compiled forms of the race of iterations compute what the eager one does."""

import pytest
import torch

from benchmarks.races import g8_gpu_iteration as race

SIZES = race.Sizes(race.SMALL, 2, ('eager',), 1)
CPU = torch.device('cpu')


def parameters_after(name: str, options: dict | None, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    built = []
    build = race.build_model
    with monkeypatch.context() as patch:
        patch.setattr(race, 'build_model', lambda *args: built.append(build(*args)) or built[-1])
        race.make_step(SIZES, name, options, CPU)()
    return [parameter.detach() for parameter in built[0].parameters()]


@pytest.mark.parametrize('name', [race.WARPS, 'GSF'])
@pytest.mark.slow
def test_a_step_of_the_compiled_form_is_that_of_the_eager_form(name, monkeypatch):
    eager, compiled = (parameters_after(name, options, monkeypatch) for options in (None, {'backend': 'aot_eager'}))
    for one, other in zip(compiled, eager, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-5)
    assert len(eager) > len(parameters_after('plain', None, monkeypatch)) or name == race.WARPS
