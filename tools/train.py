"""Train a model or search a policy, as the config says: ``python tools/train.py CONFIG``."""

from argparse import ArgumentParser, Namespace

from mmdas.apis import (
    add_run_arguments,
    apply_run_arguments,
    build_runner,
    enable_amp,
    end_processes,
    load_config,
    set_resume,
)


def parse_args() -> Namespace:
    parser = ArgumentParser(description='Train a model or search a policy')
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a path from the newest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (needs a GPU)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.work_dir, args.cfg_options, args.launcher, args.local_rank)
    apply_run_arguments(cfg, args)
    set_resume(cfg, args.resume)
    if args.amp:
        enable_amp(cfg)
    build_runner(cfg).train()
    end_processes()


if __name__ == '__main__':
    main()
