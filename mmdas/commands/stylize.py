"""Copy a data set so that each image has the style of another one, drawn from a folder.

The copy has the layout of the original: images under their names, label maps and lists unchanged. Set data_root of a
config to it. A run that was ended goes on when the same command is given again.
"""

from argparse import ArgumentParser, Namespace

from mmengine.config import DictAction

from .parser import told_in_one_line

METHODS = ('adain', 'statistics')
SPLITS = ('train', 'val', 'test')
EXAMPLE = 'mmdas stylize my_config.py --styles paintings/ --out data/stylized --method statistics'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('--styles', required=True, metavar='DIR', help='folder of the style images')
    parser.add_argument('--out', required=True, metavar='DIR', help='root of the new data set')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=['train'], help='parts of the config (train)')
    parser.add_argument(
        '--method',
        choices=METHODS,
        default='adain',
        help='adain: textures and colours, with the weights below; statistics: mean and deviation of the colours, '
        'without weights (default: %(default)s)',
    )
    parser.add_argument('--encoder', metavar='FILE', help='weights of the VGG of AdaIN, vgg_normalised.pth')
    parser.add_argument('--decoder', metavar='FILE', help='weights of the decoder of AdaIN, decoder.pth')
    parser.add_argument('--alpha', type=float, default=1.0, help='0: the own style, 1: the other one (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of styles (default: %(default)s)')
    parser.add_argument('--device', help='such as cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help="settings that replace the config's")


def run(args: Namespace) -> None:
    """Write the data set and say how to use it.

    Raises:
        CommandError: if there is no such config, style or file of weights, or they do not go together.
    """
    from mmdas.apis import load_config
    from mmdas.apis.stylize import StylizeOptions, stylize_dataset

    with told_in_one_line():
        options = StylizeOptions(
            styles=args.styles,
            out=args.out,
            splits=tuple(args.split),
            method=args.method,
            encoder=args.encoder,
            decoder=args.decoder,
            alpha=args.alpha,
            seed=args.seed,
            device=args.device,
        )
        done = stylize_dataset(load_config(args.config, cfg_options=args.cfg_options), options)
    kept = f', {done.kept} were there' if done.kept else ''
    print(f'{done.made} images{kept}: {args.out}')
    print(f'use it: {done.usage}')
