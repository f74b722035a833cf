"""What does a trained model look at?

mmdas analyze VERB --help tells the options of a verb. Maps, pictures and a table in JSON are written to --out-dir.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from . import analyze_localize, analyze_maps, analyze_rf
from .parser import VerbParser

# Verb -> the module with its options and its work, and what it does.
ANALYSES = {
    'saliency': (analyze_maps, 'which pixels the prediction depends on: the derivative of its logit'),
    'cam': (analyze_maps, 'class activation maps of a classifier with global average pooling'),
    'rf': (analyze_rf, 'the receptive field: in theory, what a clip adds to it, and measured'),
    'localize': (analyze_localize, 'the object of an image, as a box and a mask, from such a map'),
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the verbs, each with its options."""
    verbs = parser.add_subparsers(dest='analysis', required=True, metavar='VERB', parser_class=VerbParser)
    for verb, (module, text) in ANALYSES.items():
        module.add_arguments(verbs.add_parser(verb, help=text, description=text), verb)


def run(args: Namespace) -> None:
    """Run the verb.

    Raises:
        CommandError: if the user has to change something.
    """
    ANALYSES[args.analysis][0].run(args)
