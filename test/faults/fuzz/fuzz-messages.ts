import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { LinkSocksError } from '../../../src/errors.js'
import { Compression, encodeDataHead, type Message, MessageType } from '../../../src/protocol/messages.js'
import { encodeMessage, kinds, trailer } from '../../protocol/arbitraries.js'
import { settle } from '../../support/manual-clock.js'
import { concat } from '../../support/test-peer.js'
import { type Mutation, mutated, mutation } from './mutations.js'

type Content =
  | { readonly kind: 'message'; readonly message: Message }
  /** Data whose payload is made for its compression: a control frame, or a gzip member. */
  | { readonly kind: 'data'; readonly compression: number; readonly payload: Uint8Array }
  | { readonly kind: 'bytes'; readonly type: number; readonly body: Uint8Array }

/** A message that somebody hostile sends: valid at first, then spoilt. */
export interface Piece {
  readonly content: Content
  /** Which of the channel ids that are known it is about, and which of the texts that are. */
  readonly channel: number
  readonly text: number
  readonly mutations: readonly Mutation[]
}

const byte = fc.nat(255)
const bytes = (size: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: size, maxLength: size })
const small = fc.nat(70_000).map((value) => Uint8Array.of(0, value >> 16, (value >> 8) & 0xff, value & 0xff))

const frame = fc
  .oneof(
    fc.tuple(fc.constantFrom(1, 4, 5), fc.oneof(small, bytes(4))),
    fc.tuple(
      fc.constant(2),
      fc.oneof(
        small.map((low) => concat(new Uint8Array(4), low)),
        bytes(8),
      ),
    ),
    fc.tuple(fc.constant(3), bytes(1)),
    fc.tuple(byte, fc.uint8Array({ maxLength: 12 })),
  )
  .map(([op, body]) => Uint8Array.of(op, ...body))
/** Compressing takes longer than all else that makes a message. */
const members = new Map<string, Uint8Array>()
const gzipped = fc.tuple(fc.constantFrom(0, 1, 1_000, 200_000), byte).map(([size, fill]) => {
  const key = `${size} ${fill}`
  const member = members.get(key) ?? new Uint8Array(gzipSync(new Uint8Array(size).fill(fill)))
  members.set(key, member)
  return member
})

const common = ['Connect tcp', 'Data tcp', 'ConnectResponse success', 'Disconnect', 'Connector'] as const
const granted = fc.record({
  type: fc.constant(MessageType.ConnectResponse),
  success: fc.constant(true as const),
  channelId: bytes(16),
  trailer: fc.record({ streamControl: fc.constantFrom(65_536, 524_288, 0xffff_ffff) }),
})

const content: fc.Arbitrary<Content> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('message' as const),
      message: fc.oneof(granted, ...Object.values(kinds), ...common.map((name) => kinds[name] ?? granted)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant('data' as const), compression: fc.constant(Compression.Control), payload: frame }),
      fc.record({ kind: fc.constant('data' as const), compression: fc.constant(Compression.Gzip), payload: gzipped }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('bytes' as const),
      type: fc.oneof({ weight: 3, arbitrary: fc.constant(MessageType.SessionControl) }, { weight: 1, arbitrary: byte }),
      body: fc.oneof(
        fc.constantFrom(Uint8Array.of(2), Uint8Array.of(3)),
        small.map((low) => Uint8Array.of(1, 0, 0, 0, 0, ...low.map((part, at) => (at === 3 ? part % 8 : 0)))),
        fc.uint8Array({ maxLength: 30 }),
      ),
    }),
  },
)

export const piece: fc.Arbitrary<Piece> = fc.record({
  content,
  channel: fc.nat(30),
  text: fc.nat(30),
  mutations: fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 3 })),
})

/** An AuthResponse, with any trailer. */
export const answer: fc.Arbitrary<Piece> = fc.record({
  content: fc.record({
    kind: fc.constant('message' as const),
    message: fc.record({
      type: fc.constant(MessageType.AuthResponse),
      success: fc.constant(true as const),
      token: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
      trailer,
    }),
  }),
  channel: fc.nat(30),
  text: fc.nat(30),
  mutations: fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 2 })),
})

/** What a hostile peer knows. */
export interface Known {
  readonly ids: readonly Uint8Array[]
  readonly tokens: readonly string[]
}

/** The bytes of a piece, about a channel and a token of those that are known. */
export function bytesOfPiece({ content: what, channel, text, mutations }: Piece, { ids, tokens }: Known): Uint8Array {
  const id = ids[channel % Math.max(1, ids.length)] ?? new Uint8Array(16)
  const token = tokens[text % Math.max(1, tokens.length)] ?? ''
  return mutated(encoded(what, id, token), mutations)
}

function encoded(what: Content, channelId: Uint8Array, token: string): Uint8Array {
  if (what.kind === 'bytes') return Uint8Array.of(1, what.type, ...what.body)
  if (what.kind === 'data') {
    return concat(encodeDataHead(channelId, what.payload.length, what.compression), what.payload)
  }
  const { message } = what
  if (message.type === MessageType.Auth || message.type === MessageType.Connector) {
    return encodeMessage({ ...message, token })
  }
  return encodeMessage('channelId' in message ? { ...message, channelId } : message)
}

/**
 * Runs `scene`, and fails with what was thrown anywhere meanwhile: out of a callback, in a promise that nobody looks at, or
 * caught and wrapped although it is a mistake in the program.
 */
export async function withNothingThrown(scene: () => Promise<void>): Promise<void> {
  const thrown: unknown[] = []
  const note = (error: unknown): void => {
    thrown.push(error)
  }
  const { from } = LinkSocksError
  LinkSocksError.from = (error, code) => {
    if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) note(error)
    return from.call(LinkSocksError, error, code)
  }
  process.on('uncaughtException', note).on('unhandledRejection', note)
  try {
    await scene()
    await settle()
    await settle()
  } finally {
    process.off('uncaughtException', note).off('unhandledRejection', note)
    LinkSocksError.from = from
  }
  if (thrown.length > 0) throw thrown[0]
}
