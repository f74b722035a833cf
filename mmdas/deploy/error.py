"""The one error of an export."""


class ExportError(ValueError):
    """A model that cannot be exported as asked, a file that differs from its model, or a package that is missing."""
