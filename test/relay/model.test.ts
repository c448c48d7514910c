import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Session } from '../../src/mux/session.js'
import { MessageType } from '../../src/protocol/messages.js'
import { settle } from '../support/manual-clock.js'
import { toHex } from '../support/test-peer.js'
import { Told } from './observe/stream-scene.js'
import { accept, connectTcp, data, disconnect } from './splice/channels.js'
import { agentWorld, type Peer, uuid, type World } from './world.js'

type Step =
  | { readonly kind: 'connect'; readonly connector: number; readonly offer: boolean }
  | { readonly kind: 'accept'; readonly channel: number; readonly grant: boolean }
  | { readonly kind: 'refuse'; readonly channel: number; readonly grant: boolean }
  | { readonly kind: 'data'; readonly channel: number; readonly up: boolean; readonly bytes: number }
  | { readonly kind: 'disconnect'; readonly channel: number; readonly up: boolean; readonly orderly: boolean }
  | { readonly kind: 'lose'; readonly peer: number; readonly up: boolean }
  | { readonly kind: 'join'; readonly provider: boolean }
  | { readonly kind: 'stall' | 'flow'; readonly peer: number; readonly up: boolean }
  | { readonly kind: 'wait'; readonly ms: number }

const index = fc.nat(30)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('connect' as const), connector: index, offer: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom<'accept' | 'refuse'>('accept', 'accept', 'refuse'),
      channel: index,
      grant: fc.boolean(),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant('data' as const),
      channel: index,
      up: fc.boolean(),
      bytes: fc.integer({ min: 1, max: 40_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('disconnect' as const),
      channel: index,
      up: fc.boolean(),
      orderly: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), peer: index, up: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), provider: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('stall' as const, 'stall' as const, 'flow' as const),
      peer: index,
      up: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12_000 }) }) },
)

interface Channel {
  readonly id: Uint8Array
  readonly mark: number
  readonly connector: Peer
  /** Bytes sent so far: their content follows from their place. */
  sentUp: number
  sentDown: number
}

/** Bytes of a channel's stream that tell their place: a stream that lost, doubled or mixed anything differs. */
function payload(mark: number, up: boolean, from: number, bytes: number): Uint8Array {
  const start = mark * 31 + (up ? 7 : 11)
  const made = new Uint8Array(bytes)
  for (let each = 0, at = from; each < bytes; each += 1, at += 1) made[each] = start + at * 13 + (at >> 8)
  return made
}

/** Runs random steps against a relay and keeps what must hold. */
class Model {
  readonly world: World
  readonly connectors: Peer[] = []
  readonly providers: Peer[] = []
  readonly all: { peer: Peer; up: boolean }[] = []
  readonly channels: Channel[] = []

  constructor(world: World) {
    this.world = world
  }

  async run(one: Step): Promise<void> {
    switch (one.kind) {
      case 'join':
        return this.join(one.provider)
      case 'connect':
        return this.#connect(one.connector, one.offer)
      case 'wait':
        for (const { peer } of this.all) peer.transport.pong()
        return this.world.clock.advanceAsync(one.ms)
      case 'lose':
      case 'stall':
      case 'flow':
        return this.#link(one.kind, at(one.up ? this.connectors : this.providers, one.peer))
      default:
        return this.#onChannel(one)
    }
  }

  async join(provider: boolean): Promise<void> {
    const peer = await this.world.join(provider ? 'tenant' : 'member')
    ;(provider ? this.providers : this.connectors).push(peer)
    this.all.push({ peer, up: !provider })
  }

  async #connect(which: number, offer: boolean): Promise<void> {
    const connector = at(this.connectors, which)
    if (connector === undefined) return
    const channel = { id: uuid(), mark: this.channels.length, connector, sentUp: 0, sentDown: 0 }
    this.channels.push(channel)
    await connector.send(connectTcp(channel.id, offer ? 65_536 : undefined))
  }

  async #link(kind: 'lose' | 'stall' | 'flow', peer: Peer | undefined): Promise<void> {
    if (kind === 'stall') peer?.far.hold()
    else if (kind === 'flow') peer?.far.letGo()
    else peer?.transport.abort()
    await settle()
  }

  async #onChannel(one: Extract<Step, { channel: number }>): Promise<void> {
    const channel = at(this.channels, one.channel)
    if (channel === undefined) return
    const { id, mark } = channel
    const provider = this.#providerOf(channel)
    if (one.kind === 'accept') return provider?.send(accept(id, one.grant ? 65_536 : undefined))
    if (one.kind === 'refuse') return provider?.send(Uint8Array.of(1, 5, 0, ...id, 2, 0x6e, 0x6f))
    const sender = one.up ? channel.connector : provider
    if (one.kind === 'disconnect') return sender?.send(disconnect(id, one.orderly ? 'EOF' : 'broken'))
    // what a lost link can't send is no part of the stream: the next provider may begin it
    if (sender === undefined || sender.closed !== undefined) return
    // several messages: some wait when a link is stalled
    for (let count = 0; count < 4; count += 1) {
      const from = one.up ? channel.sentUp : channel.sentDown
      if (one.up) channel.sentUp += one.bytes
      else channel.sentDown += one.bytes
      sender.transport.send(data(id, payload(mark, one.up, from, one.bytes)))
    }
    await settle()
  }

  #providerOf({ id }: Channel): Peer | undefined {
    const key = toHex(id)
    return this.providers.findLast((peer) =>
      peer.of(MessageType.Connect).some(({ channelId }) => toHex(channelId) === key),
    )
  }

  /** Whatever a peer got on a channel is a prefix of what the other end sent on it. @throws otherwise */
  check(): void {
    const marks = new Map(this.channels.map((channel) => [toHex(channel.id), channel]))
    for (const { peer, up } of this.all) {
      const places = new Map<string, number>()
      for (const message of peer.of(MessageType.Data)) {
        if (message.compression !== 0) continue
        const key = toHex(message.channelId)
        const channel = marks.get(key)
        if (channel === undefined) throw new Error(`a channel that nobody opened: ${key}`)
        if (up && peer !== channel.connector) throw new Error(`not a channel of this connector: ${key}`)
        const from = places.get(key) ?? 0
        const sentByOther = !up
        const end = from + message.data.length
        const right = payload(channel.mark, sentByOther, from, message.data.length)
        if (Buffer.compare(message.data, right) !== 0) throw new Error(`not what was sent on ${key}: ${from} to ${end}`)
        if (end > (sentByOther ? channel.sentUp : channel.sentDown)) throw new Error(`more than was sent on ${key}`)
        places.set(key, end)
      }
    }
  }
}

/** What the relay still counts, and what it told of streams that never ended. */
class Books {
  readonly #world: World
  readonly #told: Told
  #last = { receivedBytes: 0, sentBytes: 0 }

  constructor(world: World) {
    this.#world = world
    this.#told = new Told(world)
  }

  /** Nothing is counted below 0 or forgotten, and totals grow. */
  check(): void {
    const { relay } = this.#world
    const streams = [...relay.streams()]
    for (const client of relay.clients()) {
      const own = streams.filter(({ clientId, providerId }) => clientId === client.id || providerId === client.id)
      if (client.streams !== own.length) expect(client.streams).toBe(own.length)
    }
    const { receivedBytes, sentBytes } = relay.totals()
    expect(receivedBytes).toBeGreaterThanOrEqual(this.#last.receivedBytes)
    expect(sentBytes).toBeGreaterThanOrEqual(this.#last.sentBytes)
    this.#last = { receivedBytes, sentBytes }
  }

  /** Every stream was told of twice or not at all, and every dial once. */
  expectEmpty(): void {
    const { relay } = this.#world
    expect([[...relay.streams()], relay.clients()]).toEqual([[], []])
    const ids = (type: string) =>
      this.#told.events.filter((event) => event.type === type).map((event) => event.streamId)
    expect(ids('stream.closed').sort()).toEqual(ids('stream.opened').sort())
    expect(ids('stream.opened').length).toBe(this.#told.results.filter((result) => result === 0).length)
  }
}

const at = <T>(list: readonly T[], which: number): T | undefined => list[which % Math.max(1, list.length)]

/** Every Session that is made while `run` runs. */
async function withSessions(run: (sessions: Set<Session>) => Promise<void>): Promise<void> {
  const sessions = new Set<Session>()
  const { attach } = Session.prototype
  Session.prototype.attach = function (this: Session, ...args) {
    sessions.add(this)
    attach.apply(this, args)
  }
  try {
    await run(sessions)
  } finally {
    Session.prototype.attach = attach
  }
}

describe('Relay under random use', () => {
  it('mixes no channels, delivers prefixes in order, and leaves empty tables', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), async (steps) => {
        await withSessions(async (sessions) => {
          const model = new Model(await agentWorld())
          const books = new Books(model.world)
          for (const provider of [true, false, true, false]) await model.join(provider)
          for (const one of steps) {
            await model.run(one)
            books.check()
          }
          model.check()
          // what was stalled flows again; whoever ends its channels is forgotten by the relay
          for (const { peer } of model.all) peer.far.letGo()
          await settle()
          model.check()
          for (const channel of model.channels) await channel.connector.send(disconnect(channel.id, 'EOF'))
          for (let waited = 0; waited < 60; waited += 10) {
            for (const { peer } of model.all) peer.transport.pong()
            await model.world.clock.advanceAsync(10_000)
          }
          for (const session of sessions) expect([session.channels, session.heldBytes]).toEqual([0, 0])
          expect([...model.world.relay.streams()]).toEqual([])
          await model.world.closeAll()
          books.expectEmpty()
          expect(model.world.relay.tokens()[0]?.clientsCount).toBe(0)
          expect(model.world.clock.pending).toBe(0)
        })
      }),
      { numRuns: 60 },
    )
  })

  it('links lost in the middle leave empty tables at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        await withSessions(async (sessions) => {
          const model = new Model(await agentWorld())
          const books = new Books(model.world)
          for (const provider of [true, false, false]) await model.join(provider)
          for (const one of steps) {
            await model.run(one)
            books.check()
          }
          await model.world.closeAll()
          books.expectEmpty()
          model.check()
          for (const session of sessions) {
            expect([session.channels, session.heldBytes]).toEqual([0, 0])
          }
          expect(model.world.clock.pending).toBe(0)
        })
      }),
      { numRuns: 60 },
    )
  })
})
