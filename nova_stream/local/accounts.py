"""The system account that Postgres runs as when this process is root, which Postgres refuses."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

from nova_stream.errors import LocalStackError
from nova_stream.local.processes import Account, run

#: The same account that the package with the binaries makes for itself.
NAME = "pgserver"

_TRAVERSE = stat.S_IXOTH
_READ = stat.S_IROTH


def postgres_account() -> Account | None:
    """None unless this process is root; then the account, made where it is missing.

    Raises LocalStackError when it cannot be made.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None

    for attempt in range(20):
        account = _look_up()
        if account is not None:
            return account
        _create(last=attempt == 19)
        time.sleep(0.1)  # another useradd may have the password file locked
    raise LocalStackError(f"the account {NAME} was made but cannot be found; make it by hand")


def _look_up() -> Account | None:
    import pwd  # noqa: PLC0415  (POSIX only)

    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _create(*, last: bool) -> None:
    # A user's PATH may lack the administrator's programs.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    program = shutil.which("useradd", path=path) or "useradd"
    try:
        run([program, "--system", "--user-group", "--no-create-home", NAME], limit=30)
    except LocalStackError as error:
        if last:
            raise LocalStackError(
                f"Postgres does not run as root and the account {NAME} cannot be made; start as "
                f"another user, or set NOVA_DATABASE_URL to a Postgres that runs already: {error}"
            ) from error


def let_through(path: Path) -> None:
    """Let other accounts pass through the folders above ``path``, without letting them list
    what is in there.
    """
    for folder in path.parents:
        _add_mode(folder, _TRAVERSE)


def let_run(tree: Path) -> None:
    """Let other accounts run the programs of a folder: pip keeps a strict umask's modes."""
    let_through(tree)
    _add_mode(tree, _TRAVERSE | _READ)
    for path in tree.rglob("*"):
        program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        _add_mode(path, _TRAVERSE | _READ if program else _READ)


def _add_mode(path: Path, wanted: int) -> None:
    mode = path.stat().st_mode
    if mode & wanted != wanted:
        path.chmod(stat.S_IMODE(mode) | wanted)
