"""Experiments and measurements; every figure in the documents of this folder comes from a command of this package."""

__all__: list[str] = []
