"""Stand-ins for the processes of steps."""


class Ended:
    """A process that has ended.

    Args:
        code: its exit code.
    """

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        return self.code
