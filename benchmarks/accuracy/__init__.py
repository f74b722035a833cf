"""Accuracy of DAS and of what it is compared with, as curves of score against compute: ``python -m benchmarks.accuracy``."""
