"""The searches, a folder for each method. Plain torch."""

__all__: list[str] = []
