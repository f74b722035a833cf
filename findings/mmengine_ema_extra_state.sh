#!/usr/bin/env bash
# onedl-mmengine 0.10.12 with torch 2.13.0: averaging buffers also averages torch's extra state.
#
# With update_buffers=True (as in EMAHook(update_buffers=True)) the averaged model walks over the whole state
# dict. get_extra_state() puts any picklable object there, and modules need not hand out the same object twice.
# 1. A uint8 state of fixed length is copied at the first update only. Later values never arrive.
# 2. A state whose length changes before the first update stops the training. A float state does so at any update.
# 3. A state that is no tensor, which torch allows and mmengine saves and loads, raises as well.
# 4. A state that is built at each call is never carried: the copy goes into the temporary tensor.
#
# Output seen:
#   1 uint8, 0 0 then 1 1 then 2 2: tensor([1, 1], dtype=torch.uint8)
#   2 uint8, two values then three: RuntimeError: The size of tensor a (2) must match the size of tensor b (3) at
#     non-singleton dimension 0
#   2 float, three at update two:   RuntimeError: The size of tensor a (2) must match the size of tensor b (3) at
#     non-singleton dimension 0
#   3 dict:                         AttributeError: 'dict' object has no attribute 'data'
#   4 built, old then new:          b'old'
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.13.0 numpy==2.4.6 onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn


class Noted(nn.Module):
    """A weight and a note that is part of its checkpoint."""

    def __init__(self, note):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.note = note

    def get_extra_state(self):
        return self.note

    def set_extra_state(self, note):
        self.note = note


class Built(Noted):
    """Builds its state at each call, as a module that serialises its settings does."""

    def get_extra_state(self):
        return torch.tensor(list(self.note), dtype=torch.uint8)

    def set_extra_state(self, state):
        self.note = bytes(state.tolist())


def averaged_notes(model, notes):
    """Note of the averaged model after one update for each note, or the error."""
    try:
        average = ExponentialMovingAverage(model, momentum=0.5, update_buffers=True)
        for note in notes:
            model.note = note
            average.update_parameters(model)
        return average.module.note
    except (RuntimeError, AttributeError) as error:
        return f'{type(error).__name__}: {error}'


def u8(*values):
    return torch.tensor(values, dtype=torch.uint8)


fixed = averaged_notes(Noted(u8(0, 0)), [u8(1, 1), u8(2, 2)])
grown = averaged_notes(Noted(u8(0, 0)), [u8(1, 1, 1)])
late = averaged_notes(Noted(torch.zeros(2)), [torch.ones(2), torch.ones(3)])
other = averaged_notes(Noted({'epoch': 0}), [{'epoch': 1}])
built = averaged_notes(Built(b'old'), [b'new', b'new'])
print('1 uint8, 0 0 then 1 1 then 2 2:', fixed)
print('2 uint8, two values then three:', grown)
print('2 float, three at update two:  ', late)
print('3 dict:                        ', other)
print('4 built, old then new:         ', built)
assert fixed.tolist() == [1, 1] and 'must match the size' in grown and 'must match the size' in late
assert 'AttributeError' in other and built == b'old', 'the behaviour has changed'
PY
