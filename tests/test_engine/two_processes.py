"""What two processes of one machine need to find each other."""

import socket
from collections.abc import Callable
from typing import Any

import torch
from torch import multiprocessing


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def process_variables(rank: int, port: int) -> dict[str, str]:
    """Variables of the environment of one of two processes on the CPU."""
    return dict(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
        CUDA_VISIBLE_DEVICES='-1',
    )


def in_two_processes(function: Callable[..., None], *args: Any) -> None:
    """Call a function of rank, ``args`` and a free port in two processes at once.

    They are forked where no GPU is at hand, and so have imported what this process has.
    """
    start = 'spawn' if torch.cuda.is_available() else 'fork'
    multiprocessing.start_processes(function, args=(*args, free_port()), nprocs=2, start_method=start)
