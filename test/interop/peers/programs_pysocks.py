"""PySocks as programs use it: programs_pysocks.py PROXY_PORT tcp|tcp4|connect|patched|udp HOST PORT [USER PASSWORD].

tcp sends standard input, ends its side, and writes the answer to standard output; tcp4 does so by SOCKS4a, and connect
by HTTP. patched replaces `socket.socket`, so that a library that knows nothing of proxies uses one: it puts standard
input by HTTP. udp sends a datagram for each line of standard input, and writes each answer and where it came from.
"""

import socket
import sys
import urllib.request

import socks

proxy_port, kind, host, port = sys.argv[1:5]
username, password = sys.argv[5:7] or (None, None)
protocol = {"tcp4": socks.SOCKS4, "connect": socks.HTTP}.get(kind, socks.SOCKS5)
proxy = (protocol, "127.0.0.1", int(proxy_port), True, username, password)
target = (host, int(port))
TIMEOUT = 30
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer


def tcp():
    with socks.socksocket() as connection:
        connection.set_proxy(*proxy)
        connection.settimeout(TIMEOUT)
        connection.connect(target)
        connection.sendall(stdin.read())
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            stdout.write(chunk)


def patched():
    socks.set_default_proxy(*proxy)
    socket.socket = socks.socksocket
    request = urllib.request.Request(f"http://{host}:{port}/", data=stdin.read(), method="PUT")
    stdout.write(urllib.request.urlopen(request, timeout=TIMEOUT).read())


def udp():
    with socks.socksocket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.set_proxy(*proxy)
        datagrams.settimeout(TIMEOUT)
        for line in stdin.read().splitlines():
            datagrams.sendto(line, target)
            answer, (address, port) = datagrams.recvfrom(65536)
            stdout.write(answer + f" from {address}:{port}\n".encode())


{"tcp": tcp, "tcp4": tcp, "connect": tcp, "patched": patched, "udp": udp}[kind]()
