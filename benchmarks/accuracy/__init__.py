"""Accuracy of DAS and its rivals as curves of score against compute: ``python -m benchmarks.accuracy TASK``."""
