#!/usr/bin/env bash
# onedl-mmengine 0.10.12, torch 2.14.1: in a distributed training each process validates with batch norms of its own.
#
# PyTorch's DistributedDataParallel sends the buffers of the first process to all others before every forward pass, so a
# guess is that running means and variances are the same everywhere. MMEngine's runner sets broadcast_buffers=False. The
# batch norms of each process then follow its own part of the data. A validation during the training shares the images
# among the processes, each of which takes its own statistics; the checkpoint has those of the first process alone. So
# the score in the log belongs to no checkpoint: a test of the checkpoint, in one process or in several, gives another.
# It grows with the difference between the parts, and with norms that moved lately (small batches, a high momentum).
# Networks with BN are meant; most segmentation configs have SyncBN, whose statistics are common. ImageNet's ResNets of
# MMPretrain have BN.
# Remedy: custom_hooks = [dict(type='SyncBuffersHook')], the mean over the processes before each validation and at the end
# of each epoch, before the checkpoint. PyTorch's default, which is back with any model_wrapper_cfg that does not name
# broadcast_buffers, is none: the statistics part again in the last step, and a validation sends nothing.
#
# Output seen:
#   plain: running means 0.232 and 0.219, logged 2.6568, of the checkpoint 2.7142
#   SyncBuffersHook: running means 0.226 and 0.226, logged 2.6756, of the checkpoint 2.6756
#   model_wrapper_cfg: running means 0.232 and 0.308, logged 2.6945, of the checkpoint 2.7142
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 opencv-python==5.0.0.93 onedl-mmengine==0.10.12
cd "$tmp"

cat > train.py <<'PY'
"""Train a batch norm in two processes and print what it has learned, its score in the log and that of its checkpoint."""

import sys
from pathlib import Path

import mmengine.runner.runner
import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(1)
        self.head = torch.nn.Linear(1, 2)

    def forward(self, inputs, labels, mode='tensor'):
        logits = self.head(self.norm(inputs))
        if mode == 'loss':
            return {'loss': torch.nn.functional.cross_entropy(logits, labels)}
        return [(logit - label).abs().sum() for logit, label in zip(logits, labels, strict=True)]


class Distance(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(value.item() for value in data_samples)

    def compute_metrics(self, results):
        return {'distance': sum(results) / len(results)}


def loader():
    numbers = torch.Generator().manual_seed(0)
    points = torch.randn(64, 1, generator=numbers) * 3
    data = [{'inputs': point, 'labels': (point > 0).long()[0]} for point in points]
    sampler, collate = {'type': 'DefaultSampler', 'shuffle': False}, {'type': 'default_collate'}
    return {'batch_size': 4, 'sampler': sampler, 'dataset': data, 'collate_fn': collate}


def runner(folder, **settings):
    torch.manual_seed(0)
    return Runner(
        Net(),
        folder,
        val_dataloader=loader(),
        val_cfg={},
        val_evaluator=[Distance()],
        launcher='pytorch',
        log_level='ERROR',
        **settings,
    )


way, folder = sys.argv[1:]
torch.distributed.init_process_group('gloo')
# The runner's own wrapper as it is, but for the number of a GPU.
mmengine.runner.runner.MMDistributedDataParallel = lambda device_ids, **options: MMDistributedDataParallel(**options)
hooks = [{'type': 'SyncBuffersHook'}] if way == 'SyncBuffersHook' else []
wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None} if way == 'model_wrapper_cfg' else None
training = runner(
    folder,
    experiment_name='training',
    train_dataloader=loader(),
    train_cfg={'by_epoch': True, 'max_epochs': 1, 'val_interval': 1},
    optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
    custom_hooks=hooks,
    cfg={'model_wrapper_cfg': wrapper} if wrapper else {},
)
training.train()
scores = [training.message_hub.get_scalar('val/distance').current()]
means = all_gather_object(training.model.module.norm.running_mean.item())
test = runner(folder, experiment_name='test', load_from=str(Path(folder, 'epoch_1.pth')))
scores.append(test.val()['distance'])
if is_main_process():
    print(f'{way}: running means {means[0]:.3f} and {means[1]:.3f}, logged {scores[0]:.4f}, of the checkpoint {scores[1]:.4f}')
PY
export OMP_NUM_THREADS=1
for way in plain SyncBuffersHook model_wrapper_cfg; do
    "$tmp/venv/bin/torchrun" --standalone --nproc-per-node 2 train.py "$way" "run-$way" 2>"$way.err" >>output ||
        { cat "$way.err"; exit 1; }
done
grep 'running means' output
"$tmp/venv/bin/python" - <<'PY'
import re
from pathlib import Path

lines = re.findall(r'(\w+): running means (\S+) and (\S+), logged (\S+), of the checkpoint (\S+)', Path('output').read_text())
same = {way: (first == second, logged == of_checkpoint) for way, first, second, logged, of_checkpoint in lines}
expected = {'plain': (False, False), 'SyncBuffersHook': (True, True), 'model_wrapper_cfg': (False, False)}
assert same == expected, f'the behaviour has changed: {same}'
PY
