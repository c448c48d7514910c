import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeConnect, encodeConnectResponse, MessageType } from '../../../src/protocol/messages.js'
import { NIL_UUID } from '../../../src/protocol/uuid.js'
import { TunnelStage } from '../../client/tunnel-fixture.js'
import { data } from '../../relay/splice/channels.js'
import { settle } from '../../support/manual-clock.js'
import { concat, TestPeer } from '../../support/test-peer.js'
import { answer, bytesOfPiece, type Known, type Piece, piece, withNothingThrown } from './fuzz-messages.js'

type Step =
  | { readonly kind: 'send'; readonly pieces: readonly Piece[]; readonly together: boolean }
  | { readonly kind: 'admit'; readonly resumable: boolean; readonly received: number | undefined }
  | { readonly kind: 'cut' | 'leave' | 'use' }
  | { readonly kind: 'wait'; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      pieces: fc.array(fc.oneof({ weight: 8, arbitrary: piece }, { weight: 1, arbitrary: answer }), {
        minLength: 1,
        maxLength: 6,
      }),
      together: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('admit' as const),
      resumable: fc.boolean(),
      received: fc.option(fc.nat(4), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'use' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'leave' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(20_000) }) },
)

const TARGET = { host: 'far.test', port: 80 }
/** Longer than a session outlives its link, and than a client waits between attempts. */
const LONG_MS = 200_000

/** A client whose server is hostile, until `end()`. */
class Scene {
  readonly #stage: TunnelStage
  readonly #reverse: boolean
  readonly #streams: TestPeer[] = []
  readonly #ids = [1, 2, 3].map((seed) => new Uint8Array(16).fill(seed))

  constructor(reverse: boolean, authInBand: boolean) {
    this.#reverse = reverse
    // a server that refuses a token would end it
    this.#stage = new TunnelStage({ reverse, authInBand, retryAuth: true, fastOpen: true, connectorTokens: ['own'] })
  }

  async begin(): Promise<void> {
    await this.#stage.start()
  }

  async run(one: Step): Promise<void> {
    await this.#step(one)
    await settle()
    const { exit, tunnel } = this.#stage
    const seen = { dialled: this.#reverse ? [] : exit.dialled, oneLink: tunnel.links <= 1 }
    // one comparison a step: each costs
    expect(seen).toEqual({ dialled: [], oneLink: true })
  }

  async #step(one: Step): Promise<void> {
    const { clock, server } = this.#stage
    const link = server.links.at(-1)
    switch (one.kind) {
      case 'send':
        return this.#send(one.pieces, one.together)
      case 'admit':
        return link?.admit({
          sessionId: one.resumable ? new Uint8Array(16).fill(9) : undefined,
          received: one.received,
        })
      case 'cut':
        return link?.transport.cut()
      case 'leave':
        return link?.transport.close(1001, '')
      case 'wait':
        return clock.advanceAsync(one.ms)
      case 'use':
        return this.#use()
    }
  }

  /** The newest link gets them, and the one before: a server has not closed it. */
  async #send(pieces: readonly Piece[], together: boolean): Promise<void> {
    const known = this.#known()
    for (const one of pieces) {
      const link = this.#stage.server.links.at(one.channel % 7 === 0 ? -2 : -1)
      const raw = bytesOfPiece(one, known)
      link?.send(raw)
      if (!together) await settle()
    }
  }

  #known(): Known {
    const asked = this.#stage.server.links.slice(-2).flatMap(({ messages }) => messages)
    const opened = asked.filter((raw) => raw[1] === MessageType.Connect).map((raw) => raw.slice(3, 19))
    return { ids: [...this.#ids, ...opened.slice(-6)], tokens: ['own', 'secret-token'] }
  }

  /** Someone uses the client, or is where a provider dials. */
  async #use(): Promise<void> {
    const { tunnel, exit } = this.#stage
    for (const stream of exit.far.splice(0)) this.#hold(new TestPeer(stream))
    const dialled = tunnel.dial(TARGET).then((stream) => this.#hold(new TestPeer(stream)))
    const associated = tunnel.associate().then((socket) => {
      socket.start({ datagram: () => {}, close: () => {} })
      socket.send(new Uint8Array(100), TARGET)
    })
    // the server may refuse them, or never answer
    for (const opening of [dialled, associated]) opening.catch(() => {})
    await settle()
  }

  #hold(stream: TestPeer): void {
    this.#streams.push(stream)
    stream.write(new Uint8Array(100_000))
  }

  /** A good server is in place of the hostile one. */
  async end(): Promise<void> {
    const { clock, exit, log, server, tunnel } = this.#stage
    server.admits = {}
    await clock.advanceAsync(LONG_MS)
    for (const { transport } of server.links) transport.cut()
    await settle()
    expect(tunnel.links).toBe(0)
    await clock.advanceAsync(LONG_MS)
    expect(tunnel.links).toBe(1)
    expect(this.#streams.filter(({ closed }) => !closed)).toEqual([])

    exit.far.length = 0
    await (this.#reverse ? this.#expectProvider() : this.#expectForward())
    const closing = tunnel.close()
    await clock.advanceAsync(LONG_MS)
    await closing
    expect([await tunnel.closed, tunnel.links, clock.pending]).toEqual([undefined, 0, 0])
    expect(log.of('session.failure')).toEqual([])
    expect(log.text).not.toContain('secret-token')
  }

  async #expectForward(): Promise<void> {
    const { server, tunnel } = this.#stage
    const link = server.link()
    const dialled = tunnel.dial(TARGET)
    await settle()
    const channelId = link.received(MessageType.Connect).at(-1)?.channelId ?? NIL_UUID
    link.send(encodeConnectResponse({ success: true, channelId }), data(channelId, 'down'))
    await this.#expectEcho(new TestPeer(await dialled), channelId)
  }

  async #expectProvider(): Promise<void> {
    const { exit, server } = this.#stage
    const channelId = new Uint8Array(16).fill(0xaa)
    server.link().send(encodeConnect({ protocol: 1, channelId, target: TARGET }), data(channelId, 'down'))
    await settle()
    const [far] = exit.far
    if (far === undefined) throw new Error('nothing was dialled')
    await this.#expectEcho(new TestPeer(far), channelId)
  }

  async #expectEcho(near: TestPeer, channelId: Uint8Array): Promise<void> {
    near.write('up')
    await settle()
    expect(near.text).toBe('down')
    const sent = this.#stage.server.link().received(MessageType.Data)
    const mine = sent.filter((message) => Buffer.from(message.channelId).equals(channelId) && message.compression === 0)
    expect(new TextDecoder().decode(concat(...mine.map((message) => message.data)))).toBe('up')
    near.close()
  }
}

describe('A client whose server sends spoilt messages', () => {
  it.each([
    ['a forward client', false, false],
    ['a forward client that authenticates in-band', false, true],
    ['a provider', true, false],
    ['a provider that authenticates in-band', true, true],
  ])('as %s throws nothing, and works with a good server afterwards', async (_, reverse, authInBand) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 25 }), (steps) =>
        withNothingThrown(async () => {
          const scene = new Scene(reverse, authInBand)
          await scene.begin()
          for (const one of steps) await scene.run(one)
          await scene.end()
        }),
      ),
      { numRuns: 150 },
    )
  })
})
