"""A relay that opens every channel and sends its data back, on Python `websockets`, strict as that library is.

Prints one JSON object a line: the port, each link at its opening, when its pings are answered, and at its end with what
ended it.
Arguments: the token; the size of fragments for what it sends (0: whole messages); the port (0: a free one). SIGTERM
makes it close its links with 1001.
"""

import asyncio
import contextlib
import hashlib
import json
import signal
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

TOKEN_HASH = hashlib.sha256(sys.argv[1].encode()).hexdigest()
FRAGMENT = int(sys.argv[2])
PINGS = 3
CONNECT, DATA, CONNECTED, DISCONNECT = 3, 4, 5, 6


def say(**fields):
    print(json.dumps(fields), flush=True)


def answer(message):
    kind = message[1]
    if kind == CONNECT:
        return bytes([1, CONNECTED, 1]) + message[3:19]
    if kind == DATA:
        return message
    if kind == DISCONNECT:
        return message[:18]
    return None


async def send(ws, message):
    if FRAGMENT == 0 or len(message) <= FRAGMENT:
        return await ws.send(message)
    return await ws.send([message[at : at + FRAGMENT] for at in range(0, len(message), FRAGMENT)])


async def ping(ws):
    # each is waited for: without an answer the line never comes
    with contextlib.suppress(ConnectionClosed):
        for _ in range(PINGS):
            await (await ws.ping())
        say(event="pongs")


async def link(ws):
    query = parse_qs(urlsplit(ws.request.path).query)
    admitted = query.get("token") == [TOKEN_HASH] and query.get("reverse") == ["false"]
    offered = ws.request.headers.get_all("Sec-WebSocket-Extensions")
    say(event="link", admitted=admitted, offered=offered)
    await ws.send(bytes([1, 2, 1]))
    largest = 0
    pings = None
    try:
        async for message in ws:
            # from the first message on: among data
            pings = pings or asyncio.create_task(ping(ws))
            assert isinstance(message, bytes) and message[0] == 1, message[:4]
            largest = max(largest, len(message))
            reply = answer(message)
            if reply is not None:
                await send(ws, reply)
    except ConnectionClosed:
        pass
    say(event="end", code=ws.close_code, largest=largest, latency=ws.latency, error=repr(ws.protocol.parser_exc))


async def main():
    options = {"ping_interval": None, "max_size": 300 * 1024, "compression": "deflate"}
    async with serve(link, "127.0.0.1", int(sys.argv[3]), **options) as server:
        say(event="port", port=server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


asyncio.run(main())
