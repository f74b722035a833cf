"""What a user has to change of a distillation."""


class DistillationError(ValueError):
    """A teacher, student or loss that do not go together; the message says what to change."""
