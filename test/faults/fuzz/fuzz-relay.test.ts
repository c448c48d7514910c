import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nodeInflate } from '../../../src/node/system/inflate.js'
import { Compression, encodeConnector, type Message, MessageType } from '../../../src/protocol/messages.js'
import { joinResumable } from '../../relay/admission/resume-peers.js'
import { accept, connectTcp, data, textOf } from '../../relay/splice/channels.js'
import { type Peer, uuid, World } from '../../relay/world.js'
import { settle } from '../../support/manual-clock.js'
import { memoryStreamPair } from '../../support/memory-stream.js'
import { TestPeer } from '../../support/test-peer.js'
import { bytesOfPiece, type Piece, piece, withNothingThrown } from './fuzz-messages.js'

type Role = 'forward' | 'provider' | 'connector' | 'autonomy' | 'stranger'

type Step =
  | { readonly kind: 'send'; readonly pieces: readonly Piece[]; readonly held: boolean }
  | { readonly kind: 'cut' | 'leave' | 'open' | 'stream' | 'answer' }
  | { readonly kind: 'resume'; readonly received: number }
  | { readonly kind: 'wait'; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      pieces: fc.array(piece, { minLength: 1, maxLength: 6 }),
      held: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('open' as const, 'stream' as const, 'answer' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'leave' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('resume' as const), received: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(15_000) }) },
)

const TOKENS: Readonly<Record<Role, string>> = {
  forward: 'bad-forward',
  provider: 'bad-tenant',
  connector: 'bad-member',
  autonomy: 'bad-owner',
  stranger: '',
}
/** What a peer that is not authenticated says it is. */
const OWN_NAMES = ['bad-tenant', 'bad-member', 'bad-owner', 'own-member', '']
/** What others put where a token stands. */
const NAMES = [...OWN_NAMES, 'good-tenant', 'good-member', 'new-member']

/** A relay with a good pair, and the tenants of a hostile peer with somebody at its other side. */
class Scene {
  readonly world = new World({ inflate: nodeInflate })
  readonly #role: Role
  readonly #resumable: boolean
  readonly #instance = uuid()
  #hostile: Peer | undefined
  /** The last id that the relay gave for a session. */
  #sessionId: Uint8Array | undefined
  /** At the other side of the hostile peer's channels. */
  #other: Peer | undefined
  readonly #pair: { connector: Peer; provider: Peer; id: Uint8Array }[] = []
  /** Channel ids that the hostile peer knows; the first is the good pair's. */
  readonly #ids = [uuid(), uuid(), uuid(), uuid()]
  readonly #streams: TestPeer[] = []
  #steps = 0

  constructor(role: Role, resumable: boolean) {
    this.#role = role
    this.#resumable = resumable
  }

  async begin(): Promise<void> {
    const { relay } = this.world
    await relay.addToken({ type: 'reverse', token: 'good-tenant' })
    await relay.addToken({ type: 'connector', token: 'good-member', reverseToken: 'good-tenant' })
    await relay.addToken({ type: 'forward', token: 'bad-forward' })
    await relay.addToken({ type: 'reverse', token: 'bad-tenant', port: 10_001 })
    await relay.addToken({ type: 'connector', token: 'bad-member', reverseToken: 'bad-tenant' })
    await relay.addToken({ type: 'reverse', token: 'bad-owner', allowManageConnector: true })
    await this.#join()
    if (this.#role === 'connector') this.#other = await this.world.join('bad-tenant')
    if (this.#role === 'provider') this.#other = await this.world.join('bad-member')
    if (this.#role === 'autonomy') {
      const add = encodeConnector({ requestId: uuid(), token: 'own-member', operation: 1 })
      await this.#hostile?.send(add)
      this.#other = await this.world.join('own-member')
    }
    this.#pair.push(await this.#goodPair(this.#ids[0]))
  }

  async run(one: Step): Promise<void> {
    await this.#step(one)
    await this.#exchange()
  }

  async #step(one: Step): Promise<void> {
    switch (one.kind) {
      case 'send':
        return this.#send(one.pieces, one.held)
      case 'cut':
        return this.#hostile?.transport.cut()
      case 'leave':
        return this.#hostile?.transport.close(1000, '')
      case 'resume':
        return this.#join(one.received)
      case 'wait':
        return this.world.clock.advanceAsync(one.ms)
      case 'open':
        return this.#open()
      case 'stream':
        return this.#stream()
      case 'answer':
        return this.#answer()
    }
  }

  async #join(received?: number): Promise<void> {
    const [token, reverse] = [TOKENS[this.#role], this.#role === 'provider' || this.#role === 'autonomy']
    if (this.#role === 'stranger') this.#hostile = await this.world.attempt('ext=1')
    else if (this.#resumable) {
      const from = { instance: this.#instance, reverse, id: this.#sessionId, received }
      this.#hostile = await joinResumable(this.world, token, received === undefined ? { ...from, id: undefined } : from)
      const [admitted] = this.#hostile.of(MessageType.AuthResponse)
      this.#sessionId = admitted?.trailer?.sessionId
    } else this.#hostile = await this.world.join(token, { reverse, instance: this.#instance, extensions: true })
  }

  async #send(pieces: readonly Piece[], held: boolean): Promise<void> {
    if (this.#hostile === undefined || this.#hostile.closed !== undefined) await this.#join()
    const hostile = this.#hostile
    const opened = hostile?.raw.filter((raw) => raw[1] === MessageType.Connect).map((raw) => raw.slice(3, 19)) ?? []
    const known = { ids: [...this.#ids, ...opened.slice(-6)], tokens: this.#role === 'stranger' ? OWN_NAMES : NAMES }
    for (const one of pieces) {
      hostile?.transport.send(bytesOfPiece(one, known))
      // together, or each when the one before has been dealt with
      if (!held) await settle()
    }
    await settle()
  }

  /** The other side opens channels, and says something on them. */
  async #open(): Promise<void> {
    for (const id of this.#ids) await this.#other?.send(connectTcp(id, 65_536), data(id, 'of the other side'))
  }

  /** The other side, and the exit, take what they are asked for. */
  async #answer(): Promise<void> {
    for (const { channelId } of this.#other?.of(MessageType.Connect) ?? []) {
      await this.#other?.send(accept(channelId, 65_536), data(channelId, 'an answer'))
    }
    this.#other?.clear()
    for (const dial of this.world.dials.pending.splice(0)) {
      if (dial.aborted) continue
      const [near, far] = memoryStreamPair()
      dial.resolve(near)
      this.#streams.push(new TestPeer(far))
      far.write(new Uint8Array(1_000))
    }
    await settle()
  }

  /** Somebody uses the SOCKS port of the hostile peer's tenant. */
  async #stream(): Promise<void> {
    const dialer = this.world.openPorts.get(10_001)?.dialer
    const dialled = dialer?.dial({ host: 'far.test', port: 80 }).then((stream) => {
      const peer = new TestPeer(stream)
      this.#streams.push(peer)
      peer.write(new Uint8Array(100_000))
    })
    const associated = dialer?.associate().then((socket) => {
      socket.start({ datagram: () => {}, close: () => {} })
      socket.send(new Uint8Array(100), { host: 'far.test', port: 53 })
    })
    // the hostile peer may refuse them, or never answer
    for (const opening of [dialled, associated]) opening?.catch(() => {})
    await settle()
  }

  /** @returns a connector and a provider of the good tenant, with a channel. */
  async #goodPair(id = uuid()) {
    const provider = this.#pair[0]?.provider ?? (await this.world.join('good-tenant'))
    const connector = await this.world.join('good-member')
    await connector.send(connectTcp(id))
    await provider.send(accept(id))
    expect(connector.of(MessageType.ConnectResponse)).toMatchObject([{ success: true }])
    return { connector, provider, id }
  }

  /**
   * The good pair goes on, and each side gets what the other one sends and nothing else; the relay dials for forward
   * clients only.
   */
  async #exchange(): Promise<void> {
    const [pair] = this.#pair
    if (pair === undefined) throw new Error('no good pair')
    const text = `step ${this.#steps++}`
    pair.connector.transport.send(data(pair.id, text))
    await pair.provider.send(data(pair.id, text))
    const heard = [pair.connector, pair.provider].map((peer) => ({
      text: textOf(peer),
      partners: peer.partners ?? 1,
      controls: peer.messages.filter(isControl).length,
    }))
    const { dials, associations } = this.world
    const dialled = this.#role === 'forward' ? [] : [...dials.asked, ...associations.asked]
    const expected = { text, partners: 1, controls: 0 }
    // one comparison a step: each costs
    expect([...heard, ...dialled]).toEqual([expected, expected])
    pair.connector.clear()
    pair.provider.clear()
  }

  /** The relay still works, and forgets all of it. */
  async end(): Promise<void> {
    const { world } = this
    const { connector, provider, id } = await this.#goodPair()
    await connector.send(data(id, 'new here'))
    expect(textOf(provider).endsWith('new here')).toBe(true)
    expect(provider.messages.filter(isControl)).toEqual([])

    await world.closeAll()
    await world.clock.advanceAsync(200_000)
    expect(world.relay.tokens().map(({ clientsCount }) => clientsCount)).toEqual([0, 0, 0, 0])
    expect(world.relay.tokens().map((token) => (token.type === 'reverse' ? token.connectorTokens : undefined))).toEqual(
      [['good-member'], undefined, ['bad-member'], []],
    )
    expect(this.#streams.filter(({ closed }) => !closed)).toEqual([])
    expect([[...world.relay.streams()], world.relay.clients()]).toEqual([[], []])
    await world.relay.close()
    expect(world.clock.pending).toBe(0)
    expect(world.lines.filter(({ event }) => event === 'session.failure')).toEqual([])
  }
}

/** What no end of a good channel may hear. */
function isControl(message: Message): boolean {
  return message.type === MessageType.Data && message.compression === Compression.Control
}

const roles: readonly (readonly [string, Role, boolean])[] = [
  ['a forward client', 'forward', false],
  ['a forward client whose session survives its link', 'forward', true],
  ['a provider', 'provider', false],
  ['a provider whose session survives its link', 'provider', true],
  ['a connector', 'connector', false],
  ['a connector whose session survives its link', 'connector', true],
  ['an autonomy provider', 'autonomy', false],
  ['an autonomy provider whose session survives its link', 'autonomy', true],
  ['somebody who is not authenticated', 'stranger', false],
]

describe('A relay that gets spoilt messages', () => {
  it.each(roles)('from %s throws nothing, disturbs nobody else and keeps nothing', async (_, role, resumable) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 25 }), (steps) =>
        withNothingThrown(async () => {
          const scene = new Scene(role, resumable)
          await scene.begin()
          for (const one of steps) await scene.run(one)
          await scene.end()
        }),
      ),
      { numRuns: 60 },
    )
  })
})
