"""One module a race, named by its id and its topic; each has ``TITLE``, ``METRICS`` and ``run(settings)``."""

__all__: list[str] = []
