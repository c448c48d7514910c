import { describe, expect, it } from 'vitest'
import { FrameViolation } from '../../../src/node/websocket/frame-format.js'
import { FrameReader } from '../../../src/node/websocket/frame-reader.js'
import { closePayload, cutAt, frame, hex, KEY, pieces, read } from './frames.js'

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10

const message = (text: string): string => `message ${hex(Buffer.from(text))}`
const ping = (text: string): string => `ping ${hex(Buffer.from(text))}`

describe('FrameReader', () => {
  it('reads the examples of RFC 6455 section 5.7', () => {
    const fromServer = ['810548656c6c6f', '010348656c', '80026c6f', '890548656c6c6f']
    expect(read(fromServer.map((text) => Buffer.from(text, 'hex'))).told).toEqual([
      message('Hello'),
      message('Hello'),
      ping('Hello'),
    ])
    const fromClient = ['818537fa213d7f9f4d5158', '8a8537fa213d7f9f4d5158']
    expect(
      read(
        fromClient.map((text) => Buffer.from(text, 'hex')),
        { masked: true },
      ).told,
    ).toEqual([message('Hello')])
  })

  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 70_001])('reads a message of %d bytes, masked or not', (bytes) => {
    const payload = Buffer.alloc(bytes, 'some bytes')
    expect(read([frame({ opcode: BINARY, payload })]).told).toEqual([`message ${hex(payload)}`])
    expect(read([frame({ opcode: BINARY, payload, key: KEY })], { masked: true }).told).toEqual([
      `message ${hex(payload)}`,
    ])
  })

  it('leaves alone what is masked with a key of zeros, frame by frame, however it is cut', () => {
    const [zero, half] = [Buffer.alloc(4), Uint8Array.of(0, 0, 0, 1)]
    const bytes = Buffer.concat([
      frame({ opcode: BINARY, payload: 'zero', key: zero }),
      frame({ opcode: BINARY, payload: 'masked', key: KEY }),
      frame({ opcode: PING, payload: '?', key: zero }),
      frame({ opcode: TEXT, payload: 'é'.repeat(70), key: zero }),
      frame({ opcode: BINARY, fin: false, payload: 'zero, ', key: zero }),
      frame({ opcode: CONTINUATION, payload: 'not zero', key: half }),
      frame({ opcode: CLOSE, payload: closePayload(1000, 'bye'), key: zero }),
    ])
    const told = [
      ...[message('zero'), message('masked'), ping('?'), message('é'.repeat(70)), message('zero, not zero')],
      'close 1000 bye',
    ]
    for (let at = 0; at <= bytes.byteLength; at += 1) {
      expect(read(cutAt(bytes, [at]), { masked: true })).toEqual({ told, status: undefined })
    }
    expect(read(pieces(bytes, 1), { masked: true }).told).toEqual(told)
  })

  it('reads the same however the bytes are cut, several frames in one chunk included', () => {
    const key = KEY
    const bytes = Buffer.concat([
      frame({ opcode: TEXT, payload: 'é'.repeat(70), key }),
      frame({ opcode: BINARY, fin: false, payload: 'one', key }),
      frame({ opcode: PING, payload: '?', key }),
      frame({ opcode: CONTINUATION, payload: Buffer.alloc(200, 'two'), key }),
      frame({ opcode: PONG, key }),
      frame({ opcode: BINARY, key }),
      frame({ opcode: CLOSE, payload: closePayload(4001, 'bye'), key }),
    ])
    const whole = read([bytes], { masked: true })
    expect(whole.told.at(-1)).toBe('close 4001 bye')
    expect(whole.told.length).toBe(5)
    for (let at = 0; at <= bytes.byteLength; at += 1) {
      expect(read(cutAt(bytes, [at]), { masked: true })).toEqual(whole)
    }
    for (const size of [1, 2, 3, 5, 7, 64]) expect(read(pieces(bytes, size), { masked: true })).toEqual(whole)
  })

  it('passes over empty chunks', () => {
    const [first, second] = cutAt(frame({ opcode: BINARY, payload: 'abc' }), [3])
    const nothing = new Uint8Array(0)
    expect(read([nothing, first ?? nothing, nothing, second ?? nothing, nothing]).told).toEqual([message('abc')])
  })

  it('does not keep what it was given', () => {
    const seen: Uint8Array[] = []
    const reader = new FrameReader(false, { message: (data) => seen.push(data), ping: () => {}, close: () => {} })
    const chunk = frame({ opcode: BINARY, payload: 'still here' })
    reader.push(chunk)
    chunk.fill(0)
    expect(Buffer.from(seen[0] ?? []).toString()).toBe('still here')
  })
})

describe('FrameReader, fragments (5.4)', () => {
  it('joins fragments, empty ones too', () => {
    const fragments = ['', 'a', '', 'bc', ''].map((payload, i) =>
      frame({ opcode: i === 0 ? BINARY : CONTINUATION, fin: i === 4, payload }),
    )
    expect(read(fragments).told).toEqual([message('abc')])
  })

  it('joins fragments that have nothing in them to an empty message', () => {
    expect(read([frame({ opcode: TEXT, fin: false }), frame({ opcode: CONTINUATION })]).told).toEqual([message('')])
  })

  it('reads control frames between fragments, at once', () => {
    const first = [frame({ opcode: BINARY, fin: false, payload: 'a' }), frame({ opcode: PING, payload: '1' })]
    expect(read(first).told).toEqual([ping('1')])
    expect(read([...first, frame({ opcode: PONG }), frame({ opcode: CONTINUATION, payload: 'b' })]).told).toEqual([
      ping('1'),
      message('ab'),
    ])
  })

  it('reads a close frame in the middle of a message, which is dropped', () => {
    const frames = [frame({ opcode: BINARY, fin: false, payload: 'a' }), frame({ opcode: CLOSE })]
    expect(read([...frames, frame({ opcode: CONTINUATION, payload: 'b' })]).told).toEqual(['close 1005 '])
  })

  it('takes each fragment with the key of its own frame', () => {
    const frames = ['abc', 'defgh', 'i'].map((payload, i) =>
      frame({ opcode: i === 0 ? TEXT : CONTINUATION, fin: i === 2, payload, key: Uint8Array.of(i, 7, 200 + i, 9) }),
    )
    expect(read(frames, { masked: true }).told).toEqual([message('abcdefghi')])
  })

  it('begins anew with the next message', () => {
    const frames = [
      frame({ opcode: TEXT, fin: false, payload: 'a' }),
      frame({ opcode: CONTINUATION, payload: 'b' }),
      frame({ opcode: BINARY, payload: Buffer.of(0xff) }),
    ]
    expect(read(frames).told).toEqual([message('ab'), 'message ff'])
  })
})

describe('FrameReader, text (8.1)', () => {
  const euro = Buffer.from('€')

  it('takes a character that lies in two fragments', () => {
    const frames = [
      frame({ opcode: TEXT, fin: false, payload: euro.subarray(0, 1) }),
      frame({ opcode: PING }),
      frame({ opcode: CONTINUATION, payload: euro.subarray(1) }),
    ]
    expect(read(frames).told).toEqual(['ping ', message('€')])
  })

  it.each([
    ['a byte that never stands in UTF-8', 'ff'],
    ['a character that is cut', 'e282'],
    ['an overlong form', 'c080'],
    ['a surrogate', 'eda080'],
    ['a code point beyond U+10FFFF', 'f4908080'],
    ['a continuation byte alone', '80'],
  ])('answers %s with 1007', (_name, bytes) => {
    const payload = Buffer.from(bytes, 'hex')
    expect(read([frame({ opcode: TEXT, payload })])).toEqual({ told: [], status: 1007 })
    expect(read([frame({ opcode: CLOSE, payload: closePayload(1000, payload) })])).toEqual({ told: [], status: 1007 })
    expect(read([frame({ opcode: BINARY, payload })]).status).toBeUndefined()
  })
})

describe('FrameReader, violations', () => {
  const begun = frame({ opcode: BINARY, fin: false, payload: 'a' })

  it.each([
    ['a reserved bit', [frame({ opcode: BINARY, reserved: 0x40 })]],
    ['the second reserved bit', [frame({ opcode: BINARY, reserved: 0x20 })]],
    ['the third reserved bit', [frame({ opcode: BINARY, reserved: 0x10 })]],
    ['a reserved bit on a ping', [frame({ opcode: PING, reserved: 0x40 })]],
    ['a reserved bit on a continuation', [begun, frame({ opcode: CONTINUATION, reserved: 0x40 })]],
    ['a mask', [frame({ opcode: BINARY, payload: 'a', key: KEY })]],
    ['a mask on a ping', [frame({ opcode: PING, key: KEY })]],
    ['a control frame of 126 bytes', [frame({ opcode: PING, payload: Buffer.alloc(126) })]],
    ['a close frame of 126 bytes', [frame({ opcode: CLOSE, payload: closePayload(1000, 'x'.repeat(124)) })]],
    ['a control frame that announces 2^62 bytes', [frame({ opcode: PING, announced: 2n ** 62n })]],
    ['a ping in fragments', [frame({ opcode: PING, fin: false })]],
    ['a close frame in fragments', [frame({ opcode: CLOSE, fin: false })]],
    ['a continuation of nothing', [frame({ opcode: CONTINUATION, payload: 'a' })]],
    ['the beginning of a continuation of nothing', [frame({ opcode: CONTINUATION, fin: false })]],
    ['a continuation behind a whole message', [frame({ opcode: TEXT }), frame({ opcode: CONTINUATION })]],
    ['a message within another', [begun, frame({ opcode: BINARY, payload: 'a' })]],
    ['a text within another message', [begun, frame({ opcode: TEXT, fin: false })]],
    ['a length of 125 in two bytes', [frame({ opcode: BINARY, payload: Buffer.alloc(125), lengthBytes: 2 })]],
    ['a length of 0 in two bytes', [frame({ opcode: BINARY, lengthBytes: 2 })]],
    ['a length of 65,535 in eight bytes', [frame({ opcode: BINARY, payload: Buffer.alloc(65_535), lengthBytes: 8 })]],
    ['a length of 5 in eight bytes', [frame({ opcode: BINARY, payload: 'abcde', lengthBytes: 8 })]],
    ['a close frame of one byte', [frame({ opcode: CLOSE, payload: 'a' })]],
  ])('answers %s with 1002', (_name, frames) => {
    const { told, status } = read(frames)
    expect(told.filter((text) => text !== 'message ')).toEqual([])
    expect(status).toBe(1002)
  })

  it.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])('answers opcode %d with 1002', (opcode) => {
    expect(read([frame({ opcode })])).toEqual({ told: [], status: 1002 })
    expect(read([frame({ opcode, fin: false })])).toEqual({ told: [], status: 1002 })
  })

  it('answers a frame of a client without a mask with 1002, of whatever kind', () => {
    for (const opcode of [TEXT, BINARY, PING, PONG, CLOSE]) {
      expect(read([frame({ opcode })], { masked: true })).toEqual({ told: [], status: 1002 })
    }
  })

  it('is judged by the header alone', () => {
    const bytes = frame({ opcode: CONTINUATION, payload: Buffer.alloc(1_000) })
    expect(read([bytes.subarray(0, 4)]).status).toBe(1002)
  })

  it('tells nothing of what stands behind it, and all before', () => {
    const frames = [
      frame({ opcode: BINARY, payload: 'a' }),
      frame({ opcode: 3 }),
      frame({ opcode: BINARY, payload: 'b' }),
      frame({ opcode: PING }),
    ]
    expect(read([Buffer.concat(frames)])).toEqual({ told: [message('a')], status: 1002 })
  })
})

describe('FrameReader, close frames (5.5.1, 7.4)', () => {
  const verdict = (code: number) => read([frame({ opcode: CLOSE, payload: closePayload(code, 'why') })])

  it('takes every status code that may be sent', () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
      expect(verdict(code)).toEqual({ told: [`close ${code} why`], status: undefined })
  })

  it('answers every other one with 1002', () => {
    for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
      expect(verdict(code)).toEqual({ told: [], status: 1002 })
  })

  it('is 1005 without a code', () => {
    expect(read([frame({ opcode: CLOSE })]).told).toEqual(['close 1005 '])
  })

  it('takes a reason of 123 bytes, and one that is empty', () => {
    const reason = `${'é'.repeat(61)}!`
    expect(read([frame({ opcode: CLOSE, payload: closePayload(1000, reason) })]).told).toEqual([`close 1000 ${reason}`])
    expect(read([frame({ opcode: CLOSE, payload: closePayload(1001) })]).told).toEqual(['close 1001 '])
  })

  it('tells nothing more, in the same chunk or in later ones', () => {
    const frames = [CLOSE, BINARY, PING, CLOSE, 3].map((opcode) => frame({ opcode }))
    expect(read([Buffer.concat(frames), ...frames])).toEqual({ told: ['close 1005 '], status: undefined })
  })
})

describe('after a violation', () => {
  it('nothing more is told, whatever comes', () => {
    const told: string[] = []
    const reader = new FrameReader(false, {
      message: (data) => void told.push(hex(data)),
      ping: (payload) => void told.push(hex(payload)),
      close: (code) => void told.push(String(code)),
    })
    expect(() => reader.push(frame({ opcode: 2, payload: 'x', reserved: 0x40 }))).toThrow(FrameViolation)
    reader.push(frame({ opcode: 2, payload: 'y' }))
    expect(told).toEqual([])
  })
})

describe('FrameReader.stop()', () => {
  it.each([
    ['a message', frame({ opcode: BINARY, payload: 'a' })],
    ['an empty message', frame({ opcode: BINARY })],
    ['a ping', frame({ opcode: PING, payload: 'a' })],
    ['a fragmented message', Buffer.concat([frame({ opcode: TEXT, fin: false }), frame({ opcode: CONTINUATION })])],
  ])('from within %s ends the reading', (_name, first) => {
    const rest = Buffer.concat([first, frame({ opcode: 3 })])
    const { told, status } = read([Buffer.concat([first, rest]), rest], { onEvent: (reader) => reader.stop() })
    expect(told.length).toBe(1)
    expect(status).toBeUndefined()
  })
})
