"""A forward client on Python `websockets`, strict as that library is: one channel to an echo target.

Arguments: the URL without a path, the token, the target's port, bytes to send. Prints one JSON object with what it saw.
"""

import asyncio
import hashlib
import json
import os
import sys

from websockets.asyncio.client import connect

URL, TOKEN, PORT, SIZE = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
DATA = 4
BLOCK = 64 * 1024
CHANNEL = os.urandom(16)


def data(payload):
    return bytes([1, DATA, 1]) + CHANNEL + b"\0" + len(payload).to_bytes(4, "big") + payload


def fragments(message, size):
    return [message[at : at + size] for at in range(0, len(message), size)]


async def upload(ws, content):
    for at in range(0, len(content), BLOCK):
        message = data(content[at : at + BLOCK])
        # one whole, one in parts
        await ws.send(message if at % (2 * BLOCK) else fragments(message, 1_000))


async def download(ws, length):
    received = b""
    largest = 0
    while len(received) < length:
        message = await ws.recv()
        assert message[1] == DATA and message[3:19] == CHANNEL, message[:20]
        largest = max(largest, len(message))
        received += message[24:]
    return received, largest


async def main():
    query = f"token={hashlib.sha256(TOKEN.encode()).hexdigest()}&reverse=false"
    options = {"ping_interval": None, "max_size": 300 * 1024, "compression": "deflate"}
    async with connect(f"{URL}/socket?{query}", subprotocols=["chat"], **options) as ws:
        admitted = await ws.recv()
        await ws.send(bytes([1, 3, 1]) + CHANNEL + b"\x09localhost" + PORT.to_bytes(2, "big"))
        connected = await ws.recv()
        content = os.urandom(SIZE)
        # among data
        pongs = [await ws.ping(payload) for payload in (b"", b"p", b"p" * 125)]
        _, (received, largest) = await asyncio.gather(upload(ws, content), download(ws, SIZE))
        await asyncio.gather(*pongs)
        extensions = [extension.name for extension in ws.protocol.extensions]
        await ws.close(3001, "seen enough")
    print(
        json.dumps(
            {
                "admitted": admitted[:3].hex(),
                "connected": connected == bytes([1, 5, 1]) + CHANNEL,
                "whole": received == content,
                "largest": largest,
                "extensions": extensions,
                "subprotocol": ws.subprotocol,
                "closed": ws.protocol.close_rcvd.code,
                "latency": ws.latency,
            }
        )
    )


asyncio.run(main())
