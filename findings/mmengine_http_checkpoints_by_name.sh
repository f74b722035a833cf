#!/usr/bin/env bash
# onedl-mmengine 0.10.12, torch 2.14.1: of checkpoints with one file name at different addresses the first is loaded.
#
# load_from, load_checkpoint() and init_cfg of 'Pretrained' take an http address. PyTorch keeps the file in its cache
# folder under the last part of the address alone, and takes what lies there. The trainings of OpenMMLab all write the
# same names (iter_80000.pth, best_mIoU_iter_80000.pth). So of several runs on one server only the first one that this
# machine ever met is read: two students get one teacher, a test of five seeds has five equal results, and a checkpoint
# put in place of another is never seen. The log names the address asked for. mmengine.fileio.get() reads the right one.
# Remedy: a name for each run's file (PyTorch's own have a hash in them), or download each and give the local path.
#
# Output seen (the files hold the numbers 1 and 2):
#   load_checkpoint: {'run_a': 1.0, 'run_b': 1.0}
#   fileio.get: {'run_a': 1.0, 'run_b': 2.0}
#   run_a written anew, with 3: 1.0
#   log: Loads checkpoint by http backend from path: SERVER/run_b/iter_80000.pth
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile \
    torch==2.14.1 numpy==2.4.6 onedl-mmengine==0.10.12 opencv-python-headless==5.0.0.93
cd "$tmp"
TORCH_HOME="$tmp/home" no_proxy=127.0.0.1 "$tmp/venv/bin/python" -W ignore - <<'PY'
import io
import logging
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from mmengine import fileio
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint

NAME = 'iter_80000.pth'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def write(run, number):
    Path('web', run).mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': {'weight': torch.full((1, 1), number)}}, f'web/{run}/{NAME}')


write('run_a', 1.0)
write('run_b', 2.0)
server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory='web'))
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f'http://127.0.0.1:{server.server_port}'
said = io.StringIO()
logger = MMLogger.get_instance('finding', logger_name='finding')
logger.handlers = [logging.StreamHandler(said)]


def loaded(run):
    model = torch.nn.Linear(1, 1, bias=False)
    load_checkpoint(model, f'{root}/{run}/{NAME}', logger=logger)
    return model.weight.item()


def got(run):
    return torch.load(io.BytesIO(fileio.get(f'{root}/{run}/{NAME}')))['state_dict']['weight'].item()


found, right = ({run: read(run) for run in ('run_a', 'run_b')} for read in (loaded, got))
write('run_a', 3.0)
anew, new = loaded('run_a'), got('run_a')
log = next((line for line in said.getvalue().splitlines() if 'run_b' in line), '').replace(root, 'SERVER')
print(f'load_checkpoint: {found}\nfileio.get: {right}\nrun_a written anew, with 3: {anew}\nlog: {log}')
server.shutdown()
assert right == {'run_a': 1.0, 'run_b': 2.0} and new == 3.0
assert found == {'run_a': 1.0, 'run_b': 1.0} and anew == 1.0, 'the behaviour has changed'
assert f'run_b/{NAME}' in log, 'the behaviour has changed'
PY
