"""Warnings given before a run has its log, told again in it.

MMEngine begins a log with the environment, the whole config and the list of hooks. What was said before scrolls away
and is in no file.
"""

import logging

from mmengine.logging import MMLogger

from mmdas.noise import is_noise


class EarlyWarnings(logging.Filter):
    """Keeps the texts of the warnings that pass through a log."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, None] = {}  # in their order, each once

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.WARNING and not is_noise(record):
            self.texts[record.getMessage()] = None
        return True


def collect_warnings() -> None:
    """Keep the warnings from now on, until a run has its log."""
    logger = MMLogger.get_current_instance()
    stop(logger)
    logger.addFilter(EarlyWarnings())


def stop(logger: logging.Logger) -> list[str]:
    """Keep no more warnings of a log; those that were kept."""
    kept = [found for found in logger.filters if isinstance(found, EarlyWarnings)]
    for found in kept:
        logger.removeFilter(found)
    return [text for found in kept for text in found.texts]


def tell_again(texts: list[str], logger: logging.Logger) -> None:
    """Log warnings once more.

    Args:
        texts: of the warnings.
        logger: of the run.
    """
    if texts:
        logger.warning('\n'.join(['said before the log began:', *(f'  * {text}' for text in texts)]))
