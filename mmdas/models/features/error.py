"""What a user has to change of a regulariser of features."""


class FeatureError(ValueError):
    """A regulariser, a site or a model that do not go together; the message says what to change."""
