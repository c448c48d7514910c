import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMessage } from '../../src/protocol/messages.js'
import {
  decodeSessionControl,
  encodeSessionControl,
  type SessionControl,
  SessionOp,
} from '../../src/protocol/session-control.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const MAX_COUNT = Number.MAX_SAFE_INTEGER

const known: readonly (readonly [string, string, SessionControl])[] = [
  ['an ACK of nothing', '01 f0 01 00000000 00000000', { op: SessionOp.Ack, received: 0 }],
  ['an ACK', '01 f0 01 00000001 00000002', { op: SessionOp.Ack, received: 2 ** 32 + 2 }],
  ['an ACK of the largest count', '01 f0 01 001fffff ffffffff', { op: SessionOp.Ack, received: MAX_COUNT }],
  ['END', '01 f0 02', { op: SessionOp.End }],
  ['DRAIN', '01 f0 03', { op: SessionOp.Drain }],
]

describe('SessionControl', () => {
  it.each(known)('%s is read', (_name, wire, control) => {
    expect(decodeSessionControl(bytes(wire))).toEqual(control)
  })

  it.each(known)('%s is written', (_name, wire, control) => {
    expect(hex(encodeSessionControl(control))).toBe(wire.replaceAll(' ', ''))
  })

  it.each(known)('%s may be followed by bytes that mean nothing', (_name, wire, control) => {
    expect(decodeSessionControl(bytes(`${wire} 00 ff f0`))).toEqual(control)
  })

  it.each(known)('%s is refused wherever it is cut behind its type', (_name, wire) => {
    const whole = bytes(wire)
    for (let length = 2; length < whole.length; length += 1) {
      expect(codeOf(() => decodeSessionControl(whole.subarray(0, length)))).toBe('ERR_MESSAGE_TRUNCATED')
    }
  })

  it.each(['', '01', 'f0', '01 04 01 00000000 00000001', '01 0e 01 00000000 00000001', 'f0 01 01 00000000 00000001'])(
    '"%s" is none',
    (wire) => {
      expect(decodeSessionControl(bytes(wire))).toBeUndefined()
    },
  )

  it.each(['00', '04', '7f', 'ff'])('an unknown Op (%s) is ignored, with whatever follows it', (op) => {
    expect(decodeSessionControl(bytes(`01 f0 ${op}`))).toBeUndefined()
    expect(decodeSessionControl(bytes(`01 f0 ${op} 00000000 00000001`))).toBeUndefined()
  })

  it.each(['00200000 00000000', 'ffffffff ffffffff'])(
    'an ACK of more than any session counts (%s) is refused',
    (count) => {
      expect(codeOf(() => decodeSessionControl(bytes(`01 f0 01 ${count}`)))).toBe('ERR_MESSAGE_INVALID')
    },
  )

  it('of another minor version is read all the same', () => {
    expect(decodeSessionControl(bytes('02 f0 02'))).toEqual({ op: SessionOp.End })
  })

  it('is read as it was written, at any place in memory', () => {
    const counts = fc.integer({ min: 0, max: MAX_COUNT })
    const property = fc.property(counts, fc.nat(9), (received, before) => {
      const wire = encodeSessionControl({ op: SessionOp.Ack, received })
      const memory = new Uint8Array(before + wire.length)
      memory.set(wire, before)
      expect(decodeSessionControl(memory.subarray(before))).toEqual({ op: SessionOp.Ack, received })
    })
    fc.assert(property)
  })

  it('is nothing to a session that does not survive its WebSocket', () => {
    for (const [, wire] of known) expect(decodeMessage(bytes(wire))).toBeUndefined()
  })
})
