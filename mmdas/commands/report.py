"""Write a page about a run, or a comparison of several: scores, curves, cost, policy, config; one file, no network.

Runs that differ in their seed alone are one row, with mean and spread.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .parser import told_in_one_line
from .places import check_file

EXAMPLE = 'mmdas report work_dirs/my_config work_dirs/das-4f-gsf_my_config --out report.html'


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='of a training, a search or mmdas compare')
    parser.add_argument('--out', metavar='FILE.html', help='the page (default: report.html in the first WORK_DIR)')
    parser.add_argument('--metric', help='by which runs are compared (default: mIoU, accuracy/top1, or the first)')


def run(args: Namespace) -> None:
    """Write the page.

    Raises:
        CommandError: if there is no run in a folder, or the page cannot be written.
    """
    from mmdas.visualization.report import write_report

    with told_in_one_line():
        out = Path(args.out or Path(args.work_dirs[0], 'report.html'))
        if args.out is not None:
            check_file(out, ('.html', '.htm'))
        path = write_report(args.work_dirs, out, args.metric)
    print(path)
