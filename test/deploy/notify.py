"""
A service manager's end of NOTIFY_SOCKET: binds a datagram socket (a path, or @NAME for an abstract one), prints `bound`, and then
each message as a line of JSON. It closes descriptors that come along, which is what BARRIER=1 waits for.
"""
import array
import json
import os
import socket
import sys

name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind('\0' + name[1:] if name.startswith('@') else name)
print('bound', flush=True)
while True:
    text, ancillary, _, _ = receiver.recvmsg(4096, socket.CMSG_SPACE(64))
    print(json.dumps(text.decode().splitlines()), flush=True)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            for descriptor in array.array('i', data):
                os.close(descriptor)
