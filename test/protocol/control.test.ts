import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.js'
import { LinkSocksError } from '../../src/errors.js'
import type { ControlFrame } from '../../src/protocol/control.js'
import {
  ControlOp,
  decodeControl,
  encodeControl,
  errorOfReset,
  ResetCode,
  resetCodeOf,
} from '../../src/protocol/control.js'
import { Compression, decodeMessage } from '../../src/protocol/messages.js'
import { bytes, hex } from './hex.js'
import { codeOf } from './thrown.js'

const ID = '00000001111142228333444444444441'

const frames: readonly (readonly [string, string, ControlFrame])[] = [
  ['WINDOW_UPDATE', '01 00080000', { op: ControlOp.WindowUpdate, credit: 524_288 }],
  ['WINDOW_UPDATE 0', '01 00000000', { op: ControlOp.WindowUpdate, credit: 0 }],
  ['the largest WINDOW_UPDATE', '01 ffffffff', { op: ControlOp.WindowUpdate, credit: 0xffff_ffff }],
  ['END_OF_STREAM', '02 0000000102030405', { op: ControlOp.EndOfStream, total: 0x1_0203_0405 }],
  ['the largest END_OF_STREAM', '02 001fffffffffffff', { op: ControlOp.EndOfStream, total: Number.MAX_SAFE_INTEGER }],
  ['RESET', '03 04', { op: ControlOp.Reset, code: ResetCode.FlowControl }],
  ['PING', '04 01020304', { op: ControlOp.Ping, id: 0x0102_0304 }],
  ['PONG', '05 ffffffff', { op: ControlOp.Pong, id: 0xffff_ffff }],
  ['RESET with an unknown code', '03 ff', { op: ControlOp.Reset, code: 255 }],
]

describe('control frames', () => {
  it.each(frames)('reads %s', (_name, body, frame) => {
    expect(decodeControl(bytes(body))).toEqual(frame)
  })

  it.each(frames)('writes %s as a whole Data message', (_name, body, frame) => {
    const payload = body.replaceAll(' ', '')
    const length = (payload.length / 2).toString(16).padStart(8, '0')
    expect(hex(encodeControl(bytes(ID), frame))).toBe(`010401${ID}10${length}${payload}`)
  })

  it.each(frames)('refuses %s cut at every byte', (_name, body) => {
    const whole = bytes(body)
    for (let length = 1; length < whole.length; length++) {
      expect(codeOf(() => decodeControl(whole.subarray(0, length)))).toBe('ERR_MESSAGE_TRUNCATED')
    }
  })

  it.each(frames)('ignores bytes after %s', (_name, body, frame) => {
    expect(decodeControl(bytes(`${body} ffff`))).toEqual(frame)
  })

  it.each(['', '00', '06', 'ff 01020304'])('answers undefined to "%s"', (body) => {
    expect(decodeControl(bytes(body))).toBeUndefined()
  })

  it.each(['0020000000000000', 'ffffffffffffffff'])('refuses END_OF_STREAM after 0x%s bytes', (total) => {
    expect(codeOf(() => decodeControl(bytes(`02 ${total}`)))).toBe('ERR_MESSAGE_INVALID')
  })

  it('survive the way through a Data message', () => {
    const frame = fc.oneof(
      fc.record({ op: fc.constant(ControlOp.WindowUpdate), credit: fc.integer({ min: 0, max: 0xffff_ffff }) }),
      fc.record({ op: fc.constant(ControlOp.EndOfStream), total: fc.maxSafeNat() }),
      fc.record({ op: fc.constant(ControlOp.Reset), code: fc.integer({ min: 0, max: 255 }) }),
    )
    const property = fc.property(frame, (sent) => {
      const message = decodeMessage(encodeControl(bytes(ID), sent))
      if (message?.type !== 4) throw new Error('not a Data message')
      expect(message).toMatchObject({ protocol: 1, channelId: bytes(ID), compression: Compression.Control })
      expect(decodeControl(message.data)).toEqual(sent)
    })
    fc.assert(property)
  })

  it('never throw anything but LinkSocksError', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 12 }), (data) => {
      try {
        decodeControl(data)
      } catch (error) {
        expect(error).toBeInstanceOf(LinkSocksError)
      }
    })
    fc.assert(property, { numRuns: 500 })
  })

  it.each([
    { op: ControlOp.WindowUpdate, credit: -1 },
    { op: ControlOp.WindowUpdate, credit: 2 ** 32 },
    { op: ControlOp.EndOfStream, total: 2 ** 53 },
    { op: ControlOp.Reset, code: 256 },
  ])('are not written with %o', (frame) => {
    expect(codeOf(() => encodeControl(bytes(ID), frame))).toBe('ERR_MESSAGE_INVALID')
  })
})

describe('resetCodeOf', () => {
  const cases: readonly (readonly [ErrorCode, number])[] = [
    ['ERR_STREAM_RESET', ResetCode.ConnectionReset],
    ['ERR_CHANNEL_RESET', ResetCode.ConnectionReset],
    ['ERR_DIAL_TIMEOUT', ResetCode.Timeout],
    ['ERR_CANCELLED', ResetCode.Cancelled],
    ['ERR_FLOW_CONTROL', ResetCode.FlowControl],
    ['ERR_CHANNEL_PROTOCOL', ResetCode.Protocol],
    ['ERR_MESSAGE_INVALID', ResetCode.Protocol],
    ['ERR_SHUTTING_DOWN', ResetCode.ShuttingDown],
    ['ERR_LINK_LOST', ResetCode.SessionLost],
    ['ERR_LINK_TIMEOUT', ResetCode.SessionLost],
    ['ERR_SESSION_CLOSED', ResetCode.SessionLost],
    ['ERR_LIMIT', ResetCode.Unspecified],
  ]

  it.each(cases)('tells %s as %i', (code, reset) => {
    expect(resetCodeOf(new LinkSocksError(code, 'x'))).toBe(reset)
  })
})

describe('errorOfReset', () => {
  const cases: readonly (readonly [number, ErrorCode, string])[] = [
    [ResetCode.Unspecified, 'ERR_CHANNEL_RESET', 'aborted'],
    [ResetCode.ConnectionReset, 'ERR_STREAM_RESET', 'connection reset'],
    [ResetCode.Timeout, 'ERR_CHANNEL_RESET', 'timed out'],
    [ResetCode.Cancelled, 'ERR_CHANNEL_RESET', 'cancelled'],
    [ResetCode.FlowControl, 'ERR_FLOW_CONTROL', 'window'],
    [ResetCode.Protocol, 'ERR_CHANNEL_PROTOCOL', 'violated'],
    [ResetCode.ShuttingDown, 'ERR_SHUTTING_DOWN', 'shutting down'],
    [ResetCode.SessionLost, 'ERR_LINK_LOST', 'lost'],
    [99, 'ERR_CHANNEL_RESET', '99'],
  ]

  it.each(cases)('reads code %i as %s', (code, errorCode, words) => {
    const error = errorOfReset(code)
    expect(error.code).toBe(errorCode)
    expect(error.message).toContain(words)
  })

  it.each([1, 4, 5, 6, 7])('keeps code %i over one more hop', (code) => {
    expect(resetCodeOf(errorOfReset(code))).toBe(code)
  })
})
