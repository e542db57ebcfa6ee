"""What an application installs without the server loads without the server's packages.

tests/install has the same of the built wheel and every extra, in environments of their own.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from nova_stream.extras import EXTRA_OF
from tests.extras import MODULE, PUBLIC

#: Run before anything else: a package that it must not need is not found.
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.mark.parametrize("extra", ["", "client", "models"])
def test_a_small_extra_brings_all_that_its_modules_need(extra: str) -> None:
    hidden = {name for name, by in EXTRA_OF.items() if by != extra}
    program = HIDE.format(hidden=hidden) + PUBLIC
    if extra:
        program += f"\nimport {MODULE[extra]}"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
