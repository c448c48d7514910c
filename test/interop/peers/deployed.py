"""The command line of the PyPI package `linksocks`, run as its own `linksocks` command runs it.

From 1.8 on, its `server` command calls option setters that its engine binding lacks, and ends before it listens.
They configure the rendezvous of direct mode, which is off unless asked for: doing nothing is what they would do.
"""

from linksocks import _base, _cli

ABSENT = (
    "WithDirectEnable",
    "WithDirectRendezvousUDP",
    "WithDirectRendezvousHost",
    "WithDirectRendezvousPort",
)

for name in ABSENT:
    if not hasattr(_base._FFIServerOption, name):
        setattr(_base._FFIServerOption, name, lambda self, *_: None)

_cli.cli()
