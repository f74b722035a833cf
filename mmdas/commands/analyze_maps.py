"""Saliency and class activation maps of images, as pictures and as numbers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .parser import told_in_one_line
from .places import check_folder
from .run_options import add_das_arguments, add_trust_argument, guard_loading, read_das, refuse_search, refusing_code

if TYPE_CHECKING:
    import numpy as np

    from mmdas.apis.analysis import Analysis, Analyzer

EXAMPLE = 'mmdas analyze {verb} my_config.py plain.pth photos/ --class bus'


def add_arguments(parser: ArgumentParser, verb: str) -> None:
    """Add the options."""
    add_model_arguments(parser)
    if verb == 'saliency':
        add_noise_arguments(parser)


def add_model_arguments(parser: ArgumentParser) -> None:
    """Add the options of analyses that explain a class."""
    add_image_arguments(parser)
    parser.add_argument('--class', dest='label', metavar='NAME', help='to explain, or its number (the predicted one)')


def add_image_arguments(parser: ArgumentParser) -> None:
    """Add the options that all analyses of images share."""
    parser.add_argument('config', help='file, or name of an installed config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('images', nargs='+', help='files and folders')
    parser.add_argument('--out-dir', default='analysis', help='folder for maps and pictures (default: %(default)s)')
    parser.add_argument('--device', help='such as cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--policy', metavar='FILE', help="policy of clips to use in place of the config's")
    parser.add_argument(
        '--accept-difference', action='store_true', help='load weights that were trained with other settings'
    )
    add_trust_argument(parser)
    add_das_arguments(parser)


def add_noise_arguments(parser: ArgumentParser) -> None:
    """Add the options of SmoothGrad."""
    parser.add_argument('--samples', type=int, default=1, help='noisy images to average over, SmoothGrad (%(default)s)')
    parser.add_argument('--noise', type=float, default=0.15, help='of these, by the range of the image (%(default)s)')


def run(args: Namespace) -> None:
    """Write a map and a picture of each image.

    Raises:
        CommandError: if there is no such config, checkpoint, policy, class or image, or the model has no such map.
    """
    from mmdas.visualization import overlay, to_grey

    with told_in_one_line(), refusing_code():
        analyzer, images = load(args)
        names, records = name_images(images, args.out_dir), []
        for name, found in zip(names, analyse(analyzer, images, args, args.analysis), strict=True):
            save_picture(Path(args.out_dir, 'maps', f'{name}.png'), to_grey(found.scores))
            save_picture(Path(args.out_dir, 'overlays', f'{name}.png'), overlay(found.picture, found.scores))
            records.append(describe(found, analyzer, f'{name}.png'))
            print(f'{found.image}: {label_text(records[-1])}')
        path = save_table(args, records)
    print(f'{len(records)} images: {path}')


def load(args: Namespace) -> tuple[Analyzer, list]:
    """The model and the images that the command names."""
    from mmdas.apis import load_config
    from mmdas.apis.analysis import Analyzer
    from mmdas.apis.image_inputs import expand

    check_folder(args.out_dir)
    refuse_search(args)
    guard_loading(args)
    images = expand(args.images)
    das, options = read_das(args)
    cfg = load_config(args.config, das=das, options=options)
    return Analyzer(cfg, args.checkpoint, args.device, args.policy, args.accept_difference), images


def analyse(analyzer: Analyzer, images: list, args: Namespace, kind: str) -> Any:
    """The analyses of the images."""
    options = {key: getattr(args, key) for key in ('samples', 'noise') if hasattr(args, key)}
    return analyzer(images, kind, args.label, **options)


def name_images(images: list, folder: str) -> list[str]:
    """Names for the results, without ending; no two images share one."""
    from mmdas.apis.result_names import ResultNames

    names = ResultNames()
    return names(names.keys(images), folder)


def describe(found: Analysis, analyzer: Analyzer, file: str) -> dict[str, Any]:
    """What the table says of an image."""
    names = analyzer.inferencer.classes
    known = found.label is not None and found.label < len(names)
    height, width = found.picture.shape[:2]
    return {
        'image': found.image,
        'file': file,
        'class': found.label,
        'class_name': names[found.label] if known and found.label is not None else None,
        'score': None if found.score is None else round(found.score, 6),
        'size': [height, width],
        'file_size': list(found.file_size),
        'lowest': float(found.scores.min()),
        'highest': float(found.scores.max()),
    }


def label_text(record: dict[str, Any]) -> str:
    """The class of a record for the eye."""
    if record['class'] is None:
        return 'all classes'
    score = '' if record['score'] is None else f' ({record["score"]:.2f})'
    return f'{record["class_name"] or record["class"]}{score}'


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write a grey or RGB picture as PNG, whole."""
    import cv2
    import numpy as np

    from mmdas.engine.checkpoints.atomic_file import write_atomically

    content = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    write_atomically(path, cv2.imencode('.png', content)[1].tobytes())


def save_table(args: Namespace, records: list[dict[str, Any]], **more: Any) -> Path:
    """Write what was found of all images, whole; its path."""
    import json

    from mmdas.engine.checkpoints.atomic_file import write_atomically

    path = Path(args.out_dir, f'{args.analysis}.json')
    table = {'config': args.config, 'checkpoint': args.checkpoint, 'kind': args.analysis, **more, 'images': records}
    write_atomically(path, json.dumps(table, indent=1).encode())
    return path
