"""Options of a command, and errors of a single line."""

import re
import shlex
import traceback
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

FAILED = 1  # exit code of a run that another process has ended
STOPPED = 130  # exit code after Ctrl-C
TEMPORARY = 75  # exit code after a signal of a scheduler: EX_TEMPFAIL of sysexits.h, try again


class CommandError(Exception):
    """What the user has to change, in one line.

    Args:
        message: the line.
        code: exit code of the process. Default: 2.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


# Folders of the modules of data sets.
DATA_SETS = (('mmpretrain', 'datasets'), ('mmseg', 'datasets'), ('mmengine', 'dataset'))


@contextmanager
def told_in_one_line(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of what the user gave (files, options, configs) into one line without a traceback.

    What a data set of a toolbox refuses, by an assertion or so, is one of them.

    Args:
        *kinds: of errors. Default: those of files and values.
    """
    caught = kinds or (OSError, ValueError)
    try:
        yield
    except caught as error:
        if isinstance(error, FileNotFoundError) and error.filename and is_of_data_set(error, anywhere=True):
            raise CommandError(
                f'a data set of the config: there is no {error.filename}; make, unpack or link the data there (paths '
                f'count from {Path.cwd()}), or set data_root, data_prefix and ann_file of its data sets'
            ) from error
        raise CommandError(' '.join(str(error).split())) from error
    except (AssertionError, RuntimeError) as error:
        if not is_of_data_set(error):
            raise
        raise CommandError(f'a data set of the config: {" ".join(str(error).split())}') from error


def is_of_data_set(error: Exception, anywhere: bool = False) -> bool:
    """Whether a data set of a toolbox says what is wrong with its files or settings.

    Args:
        error: that was raised.
        anywhere: whether what a data set calls counts, too.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = {Path(frame.filename).parts[-3:-1] for frame in (frames if anywhere else frames[-1:])}
    return bool(str(error)) and not places.isdisjoint(DATA_SETS)


def nearest(word: str, words: Iterable[str]) -> str:
    """``'; did you mean X?'`` for the most similar word, empty where none is similar."""
    close = get_close_matches(word, list(words), n=1)
    return f'; did you mean {close[0]}?' if close else ''


def command_without(add: Callable[[ArgumentParser], None], arguments: Sequence[str], *command: str) -> str:
    """Another command with the words that one was given, as a shell takes them.

    Args:
        add: adds to a parser the options that the other command does not take.
        arguments: of the one.
        *command: the words that the other begins with.
    """
    left_out = ArgumentParser(add_help=False)  # the one takes options that are cut short, too
    add(left_out)
    _, left = left_out.parse_known_args(arguments)
    return shlex.join([*command, *left])


class Parser(ArgumentParser):
    """A parser whose errors are one line, with the option that is most like an unknown one.

    Args:
        example: a command that is shown at the end of the help. Default: none.
        **options: of ``ArgumentParser``.
    """

    def __init__(self, example: str = '', **options: Any) -> None:
        epilog = f'example:\n  {example}' if example else None
        super().__init__(formatter_class=RawDescriptionHelpFormatter, epilog=epilog, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = self.parse_known_args(args, namespace)
        self.refuse(unknown)
        return found

    def refuse(self, unknown: list[str]) -> None:
        """End with an error where words are left that are no option."""
        if unknown:
            options = re.findall(r'--\w[\w-]*', self.format_help())
            self.error(f'there is no option {unknown[0]}{nearest(unknown[0].partition("=")[0], options)}')

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message}; see {self.prog} --help\n')


class VerbParser(Parser):
    """The parser of a verb within a command, which knows its own options best."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        self.refuse(unknown)
        return found, unknown
