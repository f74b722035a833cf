"""The scripts of ``tools``, which are no package, as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).parents[1] / 'tools'


def load_script(path: str) -> ModuleType:
    """Module of ``tools/<path>``, executed once."""
    name = f'tools_{Path(path).stem}'
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TOOLS / path)
        sys.modules[name] = importlib.util.module_from_spec(spec)  # data classes look their module up there
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
