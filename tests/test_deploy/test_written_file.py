"""What an export leaves in the place of its file."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mmdas.apis import export
from mmdas.deploy import ExportError


@pytest.mark.parametrize('error', [ExportError('{path} differs from its model'), KeyboardInterrupt(), None])
def test_a_file_takes_its_place_once_it_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error):
    def check(network, path, sizes):
        assert path.read_text() == 'new' and path.suffix == '.pt2'
        if error is not None:
            raise type(error)(str(error).format(path=path))
        return 0.0

    out = tmp_path / 'model.pt2'
    out.write_text('of before')
    monkeypatch.setattr(export, 'export_program', lambda *_: None)
    monkeypatch.setattr(export, 'write_program', lambda program, told, path: path.write_text('new'))
    monkeypatch.setattr(export, 'check_file', check)
    given = None, SimpleNamespace(size_divisor=1), export.ExportOptions(str(out)), (8, 8)
    if error is None:
        export.write(*given)
    else:
        with pytest.raises(type(error)) as raised:
            export.write(*given)
        assert str(raised.value) == str(error).format(path=out)
    assert out.read_text() == ('new' if error is None else 'of before')
    assert list(tmp_path.iterdir()) == [out]
