import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import type { ChannelEntry } from '../../../src/mux/channel/channel-host.js'
import type { Traffic } from '../../../src/mux/channel/observer.js'
import { HeldTotals } from '../../../src/mux/flow/held-totals.js'
import type { Session } from '../../../src/mux/session.js'
import { KIB, MIB } from '../../../src/protocol/limits.js'
import { decodeMessage, MessageType } from '../../../src/protocol/messages.js'
import { RelayClient } from '../../../src/relay/clients/relay-client.js'
import { SPLICED_LIMITS } from '../../../src/relay/clients.js'
import { EventLog } from '../../../src/relay/observe/event-log.js'
import { Statistics } from '../../../src/relay/observe/statistics.js'
import { Streams } from '../../../src/relay/observe/streams.js'
import { Splice } from '../../../src/relay/splice/splice.js'
import { Shaping } from '../../../src/relay/traffic/shaping.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { agentWorld, uuid } from '../world.js'
import { accept, connectTcp, data, disconnect, endingsOf, openChannel, windowUpdate } from './channels.js'

const MODEST = 64 * KIB
const BULKY = MODEST + 1
const { sessionBytes: MAX_LINK_HELD_BYTES, totalBytes: MAX_RELAY_HELD_BYTES } = SPLICED_LIMITS

describe('HeldTotals', () => {
  it('lets one link hold its limit, and refuses its bulky channels one byte more', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const client = {}
    totals.count(client, MAX_LINK_HELD_BYTES)
    expect(totals.exceeds(client, BULKY)).toBe(false)
    totals.count(client, 1)
    expect(() => totals.check(client, BULKY)).toThrow(expect.objectContaining({ code: 'ERR_LIMIT' }))
    expect(totals.exceeds(client, MODEST)).toBe(false)
  })

  it('takes a bulky channel that moves for a modest one', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const client = {}
    totals.count(client, 2 * MAX_LINK_HELD_BYTES)
    expect(totals.exceeds(client, BULKY, true)).toBe(false)
    totals.count(client, 1)
    expect(totals.exceeds(client, BULKY, true)).toBe(true)
  })

  it('spares modest channels up to the double, and no further', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const client = {}
    totals.count(client, 2 * MAX_LINK_HELD_BYTES)
    expect(totals.exceeds(client, MODEST)).toBe(false)
    totals.count(client, 1)
    expect(totals.exceeds(client, MODEST)).toBe(true)
  })

  it('above the total of the relay refuses links with more than their share, and spares the others', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const greedy = Array.from({ length: 32 }, () => ({}))
    const small = {}
    totals.count(small, MIB)
    for (const client of greedy) totals.count(client, MAX_RELAY_HELD_BYTES / 32)
    expect(totals.bytes).toBe(MAX_RELAY_HELD_BYTES + MIB)
    for (const client of greedy) expect(totals.exceeds(client, BULKY)).toBe(true)
    expect(totals.exceeds(small, BULKY)).toBe(false)
  })

  it('above the total of the relay refuses modest channels too, when their link has twice its share', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const [many, hog] = [Array.from({ length: 40 }, () => ({})), {}]
    for (const client of many) totals.count(client, MAX_RELAY_HELD_BYTES / 40)
    totals.count(hog, (2 * MAX_RELAY_HELD_BYTES) / 41)
    expect(totals.exceeds(hog, MODEST)).toBe(false)
    totals.count(hog, 1)
    expect(totals.exceeds(hog, MODEST)).toBe(true)
  })

  it('forgets links of which nothing waits', () => {
    const totals = new HeldTotals(SPLICED_LIMITS)
    const client = {}
    totals.count(client, 5)
    totals.count(client, 0)
    totals.count(client, -5)
    totals.count(client, 0)
    expect([totals.sessions, totals.bytes]).toEqual([0, 0])
  })
})

describe('what a relay holds of one link', () => {
  const PAYLOAD = new Uint8Array(8_100)
  /** Channels with 8 such messages each; a message counts 90 bytes more. */
  const FITTING = Math.floor((2 * MAX_LINK_HELD_BYTES) / (8 * (PAYLOAD.byteLength + 90)))

  it('is bounded however modest each of its channels is', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    const connector = await world.join('member')
    const ids: Uint8Array[] = []
    for (let count = 0; count < FITTING + 5; count += 1) {
      ids.push(await openChannel(connector, provider, { offer: 65_536, grant: 65_536 }))
    }
    connector.far.hold()
    for (const id of ids) await provider.send(...Array(8).fill(data(id, PAYLOAD)))
    const refused = endingsOf(provider).filter((end) => end === 'too much of this link waits for slow readers')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(10)
  })
})

/** The little of a session that a splice touches; its lane never gets a turn. */
class StalledSession {
  readonly clock = new ManualClock()
  readonly gate = { hold: () => {}, enter: () => {}, leave: () => {}, pause: () => {}, bufferedBytes: 0 }
  readonly ended = false
  readonly silent = false
  available = false
  fallSilent = (): void => {}
  entry: ChannelEntry | undefined
  detached = 0
  control(): void {}
  detach(): void {
    this.detached += 1
  }
  whenSilent(callback: () => void) {
    this.fallSilent = callback
    return { cancel: () => {} }
  }
  lane = () => ({ ready: () => {}, close: () => {} })
  attach(_key: unknown, entry: ChannelEntry): void {
    this.entry = entry
  }
}

describe('what a splice holds', () => {
  const id = uuid()
  const lost = new LinkSocksError('ERR_LINK_LOST', 'lost')

  async function opening(limits = SPLICED_LIMITS, available = false) {
    const [connector, provider, other] = [new StalledSession(), new StalledSession(), new StalledSession()]
    for (const session of [provider, other]) session.available = available
    const held = new HeldTotals(limits)
    const raw = connectTcp(id, 65_536)
    const connect = decodeMessage(raw)
    if (connect?.type !== MessageType.Connect) throw new Error('no Connect')
    const session = connector as unknown as Session
    const identity = {
      id: 'p',
      number: 1,
      role: 'provider',
      tokenId: 't',
      since: 0,
      group: 'g',
      returns: false,
    } as const
    const clientOf = (session: unknown) =>
      new RelayClient(identity, session as Session, {
        extensions: true,
        drain: () => {},
        policies: undefined,
        origin: { address: '' },
      })
    const [client, second] = [clientOf(provider), clientOf(other)]
    const clock = new ManualClock()
    const streams = new Streams({ clock, events: new EventLog(clock), statistics: new Statistics() })
    const observe = (traffic: Traffic) =>
      streams.begin({ mode: 'agent', tokenId: 't', target: connect.target }, traffic)
    new Splice({
      ...{ connector: session, connect, raw, held, observe, shaping: new Shaping(clock, []) },
      ...{ choose: async () => client, beside: () => second },
    })
    await settle()
    return { connector, provider, other, held }
  }

  async function spliced(limits = SPLICED_LIMITS) {
    const { connector, provider, held } = await opening(limits)
    provider.entry?.message(accept(id, 65_536), MessageType.ConnectResponse)
    return { connector, provider, held }
  }

  it('is the Connect once for each provider that may still get it', async () => {
    const { connector, provider, other, held } = await opening(SPLICED_LIMITS, true)
    const one = held.bytes
    provider.fallSilent()
    expect([one > 0, held.bytes]).toEqual([true, 2 * one])
    other.entry?.sessionClosed(lost)
    expect([held.bytes, other.detached]).toEqual([one, 1])
    provider.entry?.message(accept(id, 65_536), MessageType.ConnectResponse)
    expect(held.bytes).toBe(one)
    connector.entry?.sessionClosed(lost)
    expect([held.sessions, held.bytes]).toEqual([0, 0])
  })

  it('is nothing of a Connect whose provider was not taken', async () => {
    const { provider, other, held } = await opening(SPLICED_LIMITS, true)
    provider.fallSilent()
    other.entry?.message(accept(id, 65_536), MessageType.ConnectResponse)
    expect([held.bytes, provider.detached]).toEqual([connectTcp(id, 65_536).length + 64, 1])
  })

  async function stalledDownload(last: Uint8Array) {
    const { connector, provider, held } = await spliced()
    provider.entry?.message(data(id, new Uint8Array(50_000)), MessageType.Data)
    provider.entry?.message(last, MessageType.Disconnect)
    return { connector, provider, held }
  }

  it('stays counted when its end left in order, until the other end took it or is gone', async () => {
    const { connector, provider, held } = await stalledDownload(disconnect(id))
    provider.entry?.sessionClosed(lost)
    expect(held.bytes).toBeGreaterThan(50_000)
    connector.entry?.sessionClosed(lost)
    expect([held.sessions, held.bytes]).toEqual([0, 0])
  })

  it('ends one channel when its withheld credit comes and there is no room for it, and nobody else', async () => {
    const limits = { sessionBytes: 200_000, totalBytes: 10_000_000 }
    const { connector, provider, held } = await spliced(limits)
    held.count(provider, 150_000)
    connector.entry?.message(windowUpdate(id, 1_000), MessageType.Data)
    let others = 0
    held.onceRelieved(provider, () => {
      others += 1
    })
    held.count(connector, 500_000)
    held.count(provider, -150_000)
    expect([connector.detached, provider.detached, others]).toEqual([1, 1, 1])
  })

  it('counts no more when it is thrown away', async () => {
    const { connector, provider, held } = await stalledDownload(disconnect(id, 'aborted'))
    expect(held.bytes).toBeLessThan(1_000)
    connector.entry?.sessionClosed(lost)
    provider.entry?.sessionClosed(lost)
    expect([held.sessions, held.bytes]).toEqual([0, 0])
  })
})
