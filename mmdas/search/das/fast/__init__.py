"""Fast forms of the clips on the CPU; the plain forms define what they compute."""

__all__: list[str] = []
