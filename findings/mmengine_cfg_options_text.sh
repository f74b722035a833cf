#!/usr/bin/env bash
# onedl-mmengine 0.10.12: --cfg-options takes the blanks out of paths, and quotes keep nothing.
#
# DictAction reads numbers, texts, lists and tuples. On the way
# 1. all blanks inside a text are removed, in a path as well, so that the config names another folder;
# 2. quotes that reach it are removed first, so that a text of digits becomes a number, one with a comma a list;
# 3. a dict becomes a text, or with a comma a list of pieces;
# 4. a call with a comma, such as dict(a=1,b=2), raises RecursionError: it is taken apart into itself.
# Remedy: for a dict one key=value for each entry (key.entry=value); for such a text a config file.
#
# Output seen (what is passed, what the config gets):
#   /data/my images      '/data/myimages'
#   "/data/my images"    '/data/myimages'
#   "007"                7
#   "red,green"          ['red', 'green']
#   {"a":1}              '{"a":1}'
#   {"a":1,"b":2}        ['{"a":1', 'b":2}']
#   dict(a=1)            'dict(a=1)'
#   dict(a=1,b=2)        RecursionError
#   [(1,2),[a,b]]        [(1, 2), ['a', 'b']]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile onedl-mmengine==0.10.12

"$tmp/venv/bin/python" -W ignore - <<'PY'
import argparse

from mmengine.config import DictAction

EXPECTED = {
    '/data/my images': '/data/myimages',
    '"/data/my images"': '/data/myimages',
    '"007"': 7,
    '"red,green"': ['red', 'green'],
    '{"a":1}': '{"a":1}',
    '{"a":1,"b":2}': ['{"a":1', 'b":2}'],
    'dict(a=1)': 'dict(a=1)',
    'dict(a=1,b=2)': RecursionError,
    '[(1,2),[a,b]]': [(1, 2), ['a', 'b']],
}


def read(text):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    try:
        return parser.parse_args(['--cfg-options', f'key={text}']).cfg_options['key']
    except RecursionError:
        return RecursionError


seen = {text: read(text) for text in EXPECTED}
for text, value in seen.items():
    print(f'{text:20}', 'RecursionError' if value is RecursionError else repr(value))
assert seen == EXPECTED, 'the behaviour has changed'
PY
