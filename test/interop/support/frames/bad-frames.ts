import { closeBody, type FrameToSend, OPCODE } from './ws-frames.js'

const { continuation, text, binary, close, ping, pong } = OPCODE
const MB = 1024 * 1024
const byte = Buffer.of(7)
const LIMIT = 32 * MB
/** A message of a type that nobody knows. */
const IGNORED = Buffer.of(1, 0x7f)

export interface BadFrames {
  readonly what: string
  readonly frames: readonly FrameToSend[]
  /** The close code of RFC 6455 section 7.4.1 that says so. */
  readonly code: number
  /** Of our log. */
  readonly error: 'ERR_MESSAGE_INVALID' | 'ERR_MESSAGE_TOO_LARGE'
}

const invalid = (what: string, ...frames: readonly FrameToSend[]): BadFrames => ({
  what,
  frames,
  code: 1002,
  error: 'ERR_MESSAGE_INVALID',
})
const notUtf8 = (what: string, ...frames: readonly FrameToSend[]): BadFrames => ({
  what,
  frames,
  code: 1007,
  error: 'ERR_MESSAGE_INVALID',
})
const tooLarge = (what: string, ...frames: readonly FrameToSend[]): BadFrames => ({
  what,
  frames,
  code: 1009,
  error: 'ERR_MESSAGE_TOO_LARGE',
})

/** What neither end may send, whoever it is: the wrong mask comes on top. */
export const BAD_FRAMES: readonly BadFrames[] = [
  ...[4, 2, 1].map((rsv) => invalid(`reserved bits ${rsv}`, { opcode: binary, payload: byte, rsv })),
  invalid('a reserved bit in a control frame', { opcode: ping, rsv: 4 }),
  invalid('a reserved bit in a continuation', { opcode: binary, fin: false }, { opcode: continuation, rsv: 4 }),
  ...[3, 7, 11, 15].map((opcode) => invalid(`opcode ${opcode}`, { opcode, payload: byte })),
  invalid('a continuation of nothing', { opcode: continuation, payload: byte }),
  invalid(
    'a continuation of a message that is over',
    { opcode: binary, payload: IGNORED, fin: false },
    { opcode: continuation },
    { opcode: continuation },
  ),
  invalid('a message inside another one', { opcode: binary, fin: false }, { opcode: binary, payload: byte }),
  invalid('a text inside a message', { opcode: binary, fin: false }, { opcode: text, payload: byte }),
  ...[ping, pong, close].map((opcode) =>
    invalid(`control frame ${opcode} of 126 bytes`, { opcode, payload: Buffer.alloc(126) }),
  ),
  invalid('a ping of 70,000 bytes', { opcode: ping, payload: Buffer.alloc(70_000) }),
  invalid('a ping in parts', { opcode: ping, fin: false }),
  invalid('a close frame in parts', { opcode: close, payload: closeBody(1000), fin: false }),
  invalid('half a close code', { opcode: close, payload: byte }),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map((code) =>
    invalid(`close code ${code}`, { opcode: close, payload: closeBody(code) }),
  ),
  notUtf8('a close reason that is not UTF-8', { opcode: close, payload: closeBody(1000, Buffer.of(0xc3, 0x28)) }),
  notUtf8('text that is not UTF-8', { opcode: text, payload: Buffer.of(0xff) }),
  notUtf8(
    'text whose last character is cut off, in parts',
    { opcode: text, payload: Buffer.of(1, 0xe2), fin: false },
    { opcode: continuation, payload: Buffer.of(0x82) },
  ),
  tooLarge('a frame of 32 MiB and one byte', { opcode: binary, announced: BigInt(LIMIT + 1) }),
  tooLarge('a frame of 2^53 bytes', { opcode: binary, announced: 2n ** 53n }),
  tooLarge('a frame of 2^63 - 1 bytes', { opcode: binary, announced: 2n ** 63n - 1n }),
  tooLarge(
    'a last fragment that takes a message over 32 MiB',
    { opcode: binary, payload: Buffer.alloc(MB), fin: false },
    { opcode: continuation, announced: BigInt(LIMIT - MB + 1) },
  ),
  tooLarge(
    'a fragment behind 32 MiB of fragments',
    ...Array.from({ length: 32 }, (_, at) => ({
      opcode: at === 0 ? binary : continuation,
      payload: Buffer.alloc(MB),
      fin: false,
    })),
    { opcode: continuation, payload: byte },
  ),
]
