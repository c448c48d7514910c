import type { Writable } from 'node:stream'
import * as ws from 'ws'
import { MAX_FRAGMENTS } from '../../../src/node/websocket/frame-reader.js'
import { MAX_MESSAGE_BYTES } from '../../../src/protocol/limits.js'
import { hex, type Reading } from './frames.js'

/** What `ws` reads frames with; it has it for everybody, but no type for it. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => Writable }

/** Reads `chunks` as `ws` does, with our limits: what was told, and the status code of what ended it. */
export function readWithWs(chunks: readonly Uint8Array[], { masked = false } = {}): Reading {
  const told: string[] = []
  let closed = false
  const receiver = new Receiver({ isServer: masked, maxPayload: MAX_MESSAGE_BYTES, maxFragments: MAX_FRAGMENTS })
    .on('error', () => {})
    .on('message', (data: Buffer) => told.push(`message ${hex(data)}`))
    .on('ping', (payload: Buffer) => told.push(`ping ${hex(payload)}`))
    .on('conclude', (code: number, reason: Buffer) => {
      closed = true
      told.push(`close ${code} ${reason}`)
    })
  for (const chunk of chunks) {
    // a copy: it unmasks where the bytes lie
    if (!closed && receiver.errored === null) receiver.write(Buffer.from(chunk))
  }
  return { told, status: receiver.errored === null ? undefined : statusOf(receiver.errored) }
}

function statusOf(error: Error): number {
  const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === 'status-code')
  const status: unknown = symbol === undefined ? undefined : Reflect.get(error, symbol)
  if (typeof status !== 'number') throw error
  return status
}
