import { randomBytes } from 'node:crypto'
import { socksAddress } from '../../../support/e2e/socks.js'

/** Message types that these tests speak of (docs/protocol.md A.3). */
export const TYPE = { auth: 1, authResponse: 2, connect: 3, data: 4, connectResponse: 5, disconnect: 6 } as const

/** AuthResponse, success, as the deployed server writes it. */
export const ADMITTED = Buffer.of(1, TYPE.authResponse, 1)

const TCP = 1
/** Version, Type, Protocol, ChannelID, Compression, DataLen. */
const DATA_HEAD_BYTES = 24

export function newChannel(): Buffer {
  return randomBytes(16)
}

/** Auth, in-band form, without an instance. */
export function auth(token: string, reverse = false): Buffer {
  return Buffer.concat([
    Buffer.of(1, TYPE.auth, token.length),
    Buffer.from(token),
    Buffer.of(reverse ? 1 : 0),
    Buffer.alloc(16),
  ])
}

/** Connect to a port of loopback; the address is text, as domains are. */
export function connect(channel: Uint8Array, port: number): Buffer {
  const [, ...address] = socksAddress('localhost', port)
  return Buffer.concat([Buffer.of(1, TYPE.connect, TCP), channel, Buffer.from(address)])
}

export function connected(channel: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(1, TYPE.connectResponse, 1), channel])
}

export function data(channel: Uint8Array, payload: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(payload.byteLength)
  return Buffer.concat([Buffer.of(1, TYPE.data, TCP), channel, Buffer.of(0), length, payload])
}

/** The Data message that is `size` bytes long in all. */
export function dataOfSize(channel: Uint8Array, size: number): Buffer {
  return data(channel, randomBytes(size - DATA_HEAD_BYTES))
}

export function disconnect(channel: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(1, TYPE.disconnect), channel])
}

export function typeOf(message: Uint8Array): number {
  return message[1] ?? 0
}

/** ChannelID of a Connect, Data, ConnectResponse or Disconnect. */
export function channelOf(message: Buffer): Buffer {
  const at = typeOf(message) === TYPE.disconnect ? 2 : 3
  return message.subarray(at, at + 16)
}

/** Payload of a Data message. */
export function payloadOf(message: Buffer): Buffer {
  return message.subarray(DATA_HEAD_BYTES)
}
