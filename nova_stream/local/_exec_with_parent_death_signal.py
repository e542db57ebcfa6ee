"""Become another program that ends when its parent does (Linux).

Run by path as
``python -I -S _exec_with_parent_death_signal.py SIGNAL PARENT_PID UID:GID|- PROGRAM ARGUMENT...``.
A step of its own, since code between fork and exec is not safe in a process with threads.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def _main() -> None:
    signal, parent, account = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    # The other account may not be allowed to run this Python; and a change of account clears
    # what prctl sets. So: account, prctl, program.
    if account != "-":
        uid, gid = account.split(":")
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it died before the line above; nobody would tell this process

    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606  (no shell is the point)


if __name__ == "__main__":
    _main()
