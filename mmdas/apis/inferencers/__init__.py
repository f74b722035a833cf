"""The inferencers of the toolboxes; each is imported when it is asked for, so that either toolbox goes alone."""

from typing import Any

from mmdas.registry import import_part

# Name -> module that defines it.
PARTS = {
    'NamedClsInferencer': 'mmdas.apis.inferencers.cls_inferencer',
    'NamedSegInferencer': 'mmdas.apis.inferencers.seg_inferencer',
}


def __getattr__(name: str) -> Any:
    return import_part(__name__, PARTS, name)


__all__ = [*PARTS]
