"""Settings of a search that mean nothing."""


class SearchError(ValueError):
    """A setting of a search loop that cannot be; the message names it, its value and the remedy."""
