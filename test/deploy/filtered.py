"""Runs a program under the filter of system calls that a systemd unit asks for, without systemd.

    filtered.py FILE COMMAND...     FILE: a line with the allowed address families, then one allowed call a line
"""
import errno
import os
import socket
import sys

import seccomp

families, *calls = open(sys.argv[1]).read().splitlines()
rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
for call in calls:
    if call == 'socket':
        continue
    try:
        rules.add_rule(seccomp.ALLOW, call)
    except (RuntimeError, ValueError):
        # a call of other processors, or one that this libseccomp doesn't know
        pass
for family in families.split():
    rules.add_rule(seccomp.ALLOW, 'socket', seccomp.Arg(0, seccomp.EQ, int(getattr(socket, family))))
rules.load()
os.execvp(sys.argv[2], sys.argv[2:])
