#!/usr/bin/env bash
# submitit 1.5.3 and 1.5.4 with setuptools 82.0.1: up to 1.5.3 it needs a package that it does not ask for.
#
# submitit finds its executors by pkg_resources, a part of setuptools that 82.0 has removed. pip installs 1.5.3 without
# a word, `import submitit` works, and the first AutoExecutor fails. 1.5.4 uses importlib.metadata.
#
# Output seen:
#   1.5.3: ModuleNotFoundError: No module named 'pkg_resources'
#   1.5.4: AutoExecutor
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile setuptools==82.0.1 cloudpickle==3.1.2

seen=()
for version in 1.5.3 1.5.4; do
    "$tmp/venv/bin/pip" install -qq --disable-pip-version-check --no-compile "submitit==$version"
    seen+=("$version: $("$tmp/venv/bin/python" - "$tmp" <<'PY'
import sys

import submitit

try:
    print(type(submitit.AutoExecutor(sys.argv[1], cluster='local')).__name__)
except ImportError as error:
    print(f'{type(error).__name__}: {error}')
PY
)")
done
printf '%s\n' "${seen[@]}"
[ "${seen[0]}" = "1.5.3: ModuleNotFoundError: No module named 'pkg_resources'" ]
[ "${seen[1]}" = "1.5.4: AutoExecutor" ]
