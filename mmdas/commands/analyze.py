"""What does a trained model look at, what does it confuse, what does it cost, and how did it learn?

mmdas analyze VERB --help tells the options of a verb. Maps, pictures and tables in JSON are written to files.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from . import (
    analyze_confusion,
    analyze_flops,
    analyze_gates,
    analyze_localize,
    analyze_logs,
    analyze_maps,
    analyze_rf,
    analyze_worst,
)
from .parser import VerbParser

# Verb -> the module with its options and its work, and what it does.
ANALYSES = {
    'saliency': (analyze_maps, 'which pixels the prediction depends on: the derivative of its logit'),
    'cam': (analyze_maps, 'class activation maps of a classifier with global average pooling'),
    'rf': (analyze_rf, 'the receptive field: in theory, what a clip adds to it, and measured'),
    'gates': (analyze_gates, 'how much each place of each frame gives to its neighbours, by GSM or GSF'),
    'localize': (analyze_localize, 'the object of an image, as a box and a mask, from such a map'),
    'confusion': (analyze_confusion, 'which class is taken for which, on the data of the test'),
    'worst': (analyze_worst, 'the images that it does worst on, with truth and prediction'),
    'logs': (analyze_logs, 'the curves of trainings and searches, from their work directories'),
    'flops': (analyze_flops, 'parameters and floating-point operations of a model'),
}
EXAMPLE = 'mmdas analyze cam my_config.py plain.pth photos/ --out-dir maps'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verbs, each with its options."""
    verbs = parser.add_subparsers(dest='analysis', required=True, metavar='VERB', parser_class=VerbParser)
    for verb, (module, text) in ANALYSES.items():
        example = module.EXAMPLE.format(verb=verb)
        module.add_arguments(verbs.add_parser(verb, help=text, description=text, example=example), verb)


def run(args: Namespace) -> None:
    """Run the verb.

    Raises:
        CommandError: if the user has to change something.
    """
    ANALYSES[args.analysis][0].run(args)
