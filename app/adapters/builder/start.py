"""``.paas/start`` and what stands beside it: how a slug's processes find their interpreter and dependencies."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from app.adapters.builder.interpreter import Interpreter

_START = """\
#!/bin/sh
# Runs one process of this app: sh .paas/start "<shell line>".
root=$(cd "${0%/*}/.." && pwd) || exit 1
cd "$root" || exit 1
if [ -z "$1" ]; then
  echo "usage: sh .paas/start '<shell line>'; the lines of this app are in .paas/processes.json" >&2
  exit 64
fi
@SETUP@
# A plain command replaces this shell, so that signals reach it.
case $1 in
  *[\\;\\&\\|\\<\\>\\(\\)\\{\\}\\`=]* | *"
"*) exec /bin/sh -c "$1" ;;
esac
case $(command -v "${1%% *}") in
  */*) exec /bin/sh -c "exec $1" ;;
  *) exec /bin/sh -c "$1" ;;
esac
"""

_PYTHON = """\
interpreter=$(command -v @NAME@)
if [ -z "$interpreter" ] && [ -x @ELSEWHERE@ ]; then
  interpreter=@ELSEWHERE@
fi
if [ -z "$interpreter" ]; then
  echo "This app was built for @NAME@, and this machine has none on its PATH ($PATH)." >&2
  echo "Install it here, or push again to build for another version." >&2
  exit 127
fi
PAAS_PYTHON=$interpreter
PATH="$root/.paas/bin:$root/.paas/python/bin:$PATH"
PYTHONPATH="$root/.paas/site:$root@SRC@${PYTHONPATH:+:$PYTHONPATH}"
PYTHONUNBUFFERED=1
export PAAS_PYTHON PATH PYTHONPATH PYTHONUNBUFFERED
"""

_NODE = """\
if ! command -v node >/dev/null; then
  echo "This app was built for Node.js @VERSION@, and this machine has no node on its PATH ($PATH)." >&2
  echo "Install it here: apt-get install nodejs" >&2
  exit 127
fi
found=$(node -p 'process.versions.node.split(".")[0]')
if [ "$found" != "@VERSION@" ]; then
  echo "warning: built for Node.js @VERSION@, running on $found; compiled packages may not load." >&2
fi
PATH="$root/node_modules/.bin:$PATH"
NODE_ENV="${NODE_ENV:-production}"
export PATH NODE_ENV
"""

_SHIM = b'#!/bin/sh\nexec "$PAAS_PYTHON" "$@"\n'

_SITE = b'''\
"""Adds the app's installed packages as Python adds its own: behind the standard library, with .pth files.

Then runs the ``sitecustomize`` that this one hides, if there is one.
"""

import importlib.machinery
import importlib.util
import os
import site
import sys

here = os.path.dirname(os.path.abspath(__file__))
packages = os.path.join(os.path.dirname(here), "python")
before = list(sys.path)
site.addsitedir(packages)
added = [path for path in sys.path if path not in before]
kept = [path for path in sys.path if path in before]
at = next((i for i, path in enumerate(kept) if path.endswith(("site-packages", "dist-packages"))), len(kept))
sys.path[:] = kept[:at] + added + kept[at:]

others = [path for path in sys.path if os.path.abspath(path or ".") != here]
hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
if hidden is not None and hidden.loader is not None:
    module = importlib.util.module_from_spec(hidden)
    sys.modules["sitecustomize"] = module
    hidden.loader.exec_module(module)
'''


def start_script(setup: str) -> bytes:
    return _START.replace("@SETUP@", setup.rstrip()).encode()


def processes_file(processes: Mapping[str, str]) -> bytes:
    return json.dumps(dict(processes), indent=2, sort_keys=True).encode() + b"\n"


def python_setup(python: Interpreter, *, has_src: bool) -> str:
    elsewhere = f"{python.unusual_folder}/{python.name}" if python.unusual_folder else ""
    return (
        _PYTHON.replace("@NAME@", python.name)
        .replace("@ELSEWHERE@", shlex.quote(elsewhere))
        .replace("@SRC@", ":$root/src" if has_src else "")
    )


def python_files() -> dict[str, bytes]:
    """``python`` and ``python3`` are the interpreter that the slug was built for, whatever else is there."""
    return {
        ".paas/bin/python": _SHIM,
        ".paas/bin/python3": _SHIM,
        ".paas/site/sitecustomize.py": _SITE,
    }


def node_setup(major: str) -> str:
    return _NODE.replace("@VERSION@", major)
