"""Data that a run cannot be right with."""


class DataError(ValueError):
    """Training, validation or test data that cannot be right; the message names the file, the fault and the remedy.

    An error in a worker of a data loader reaches the main process as a new one, whose text is the whole traceback.
    The message is its end.

    Args:
        message: in one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.rpartition(f'{type(self).__name__}: ')[2].strip())
