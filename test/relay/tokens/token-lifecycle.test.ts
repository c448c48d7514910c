import { describe, expect, it } from 'vitest'
import type { LogFields, Logger } from '../../../src/log.js'
import { silentLogger } from '../../../src/log.js'
import { nodeCrypto } from '../../../src/node/system/crypto.js'
import { createProviders } from '../../../src/relay/clients/providers.js'
import type { RelayClient } from '../../../src/relay/clients/relay-client.js'
import { Alarms } from '../../../src/relay/observe/alarms.js'
import { EventLog } from '../../../src/relay/observe/event-log.js'
import { PolicyRefusals } from '../../../src/relay/observe/policy-refusals.js'
import { Statistics } from '../../../src/relay/observe/statistics.js'
import { Streams } from '../../../src/relay/observe/streams.js'
import { PolicyGate } from '../../../src/relay/policies/policy-gate.js'
import type { SocksPort } from '../../../src/relay/reverse/reverse-port.js'
import { ServerAccess } from '../../../src/relay/tokens/server-access.js'
import { SocksPorts } from '../../../src/relay/tokens/socks-ports.js'
import { TokenLifecycle } from '../../../src/relay/tokens/token-lifecycle.js'
import { TokenPolicies } from '../../../src/relay/tokens/token-policies.js'
import {
  type ConnectorToken,
  newToken,
  type ReverseToken,
  TokenTable,
  type TokenTraits,
} from '../../../src/relay/tokens/tokens.js'
import { UsageKeeper } from '../../../src/relay/tokens/usage-keeper.js'
import { Calls } from '../../exit/fakes.js'
import { ManualClock, settle } from '../../support/manual-clock.js'
import { ScriptedStore } from './scripted-store.js'

const PORT = 10_000

function setUp({ socksNowait = false } = {}) {
  const clock = new ManualClock()
  const lines: { readonly event: string; readonly fields: LogFields }[] = []
  const log: Logger = { ...silentLogger, info: (event, fields = {}) => lines.push({ event, fields }) }
  const events = new EventLog(clock)
  const alarms = new Alarms(clock, events)
  const tokens = new TokenTable(nodeCrypto)
  const statistics = new Statistics()
  const streams = new Streams({ clock, events, statistics })
  const refusals = new PolicyRefusals({ clock, log, events, statistics })
  const opens = new Calls<unknown, SocksPort>()
  const ports = new SocksPorts(tokens, {
    ...{
      clock,
      log,
      alarms,
      streams,
      gate: new PolicyGate(clock, refusals),
      fastOpen: false,
      access: new ServerAccess(),
    },
    resolve: async () => [],
    openPort: (port) => opens.call(port),
    portRange: [PORT, PORT],
  })
  const lifecycle = new TokenLifecycle(tokens, {
    ...{ clock, log, ports, alarms, events, socksNowait },
    policies: new TokenPolicies({ clock, streams, refusals }),
    usage: new UsageKeeper(tokens, {
      ...{ clock, log, alarms, events, statistics: new Statistics() },
      store: new ScriptedStore(),
      ...{ usedUp: () => {}, forgotten: () => {} },
    }),
  })
  /** A reverse token with a port, in the table. */
  const reverse = (): ReverseToken => {
    const token: ReverseToken = {
      ...newToken('tenant', 'api', clock, nodeCrypto),
      ...{ type: 'reverse', autonomy: false, providers: createProviders(clock), connectors: new Set() },
      port: undefined,
    }
    token.port = ports.create(token, PORT)
    tokens.add(token)
    return token
  }
  const connector = (of: ReverseToken, source: 'api' | 'provider' = 'api'): ConnectorToken => {
    const base = newToken('member', source, clock, nodeCrypto)
    const token: ConnectorToken = { ...base, type: 'connector', reverse: of, owner: undefined }
    tokens.add(token)
    return token
  }
  const emitted = () => events.after(0)?.map(({ event }) => event.type)
  return { clock, lines, alarms, tokens, opens, lifecycle, reverse, connector, emitted }
}

function change(token: ReverseToken, traits: Partial<TokenTraits>): void {
  token.traits = { ...token.traits, ...traits }
}

/** A client of a token; why its session was closed. */
function clientOf(token: { readonly clients: Set<RelayClient> }): (string | undefined)[] {
  const reasons: (string | undefined)[] = []
  const close = async (reason?: Error): Promise<void> => {
    reasons.push(reason?.message)
  }
  token.clients.add({ session: { close }, origin: { address: '192.0.2.1' } } as unknown as RelayClient)
  return reasons
}

function socksPort(): SocksPort & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    stopAccepting: () => calls.push('stopAccepting'),
    close: async () => {
      calls.push('close')
    },
  }
}

describe('TokenLifecycle.added()', () => {
  it('says so, and leaves the port to the first provider', async () => {
    const { lifecycle, reverse, opens, lines, emitted } = setUp()
    const token = reverse()
    await lifecycle.added(token)
    expect([opens.asked.length, emitted()]).toEqual([0, ['token.added']])
    expect(lines).toEqual([{ event: 'token.added', fields: { type: 'reverse', token: token.id, port: PORT } }])
  })

  it('settles when a port that opens with its token is open', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    const token = reverse()
    let settled = false
    const added = lifecycle.added(token).then(() => {
      settled = true
    })
    await settle()
    expect([settled, opens.asked.length]).toEqual([false, 1])
    opens.at(0).resolve(socksPort())
    await added
    expect(token.port?.listening).toBe(true)
  })

  it('opens no port of a token whose time is over already', async () => {
    const { lifecycle, reverse, clock, opens } = setUp({ socksNowait: true })
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() })
    await lifecycle.added(token)
    expect([opens.asked.length, token.port?.closed]).toEqual([0, true])
  })

  it('logs nothing of a token that a provider added, which is logged as what it asked for', async () => {
    const { lifecycle, reverse, connector, lines, emitted } = setUp()
    await lifecycle.added(connector(reverse(), 'provider'))
    expect([lines, emitted()]).toEqual([[], ['token.added']])
  })
})

describe('TokenLifecycle.changed()', () => {
  it('ends the clients of a disabled token and of its connector tokens, and frees its port', async () => {
    const { lifecycle, reverse, connector, lines, emitted } = setUp()
    const token = reverse()
    const reasons = [clientOf(token), clientOf(connector(token))]
    change(token, { enabled: false })
    await lifecycle.changed(token)
    expect(reasons).toEqual([['the token is disabled'], ['the token is disabled']])
    expect([token.port?.closed, emitted()]).toEqual([true, ['token.changed']])
    expect(lines.map(({ event }) => event)).toEqual(['token.shut', 'token.changed'])
  })

  it('gives a token that is enabled again a port of the same number, as often as that happens', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    const token = reverse()
    for (const round of [0, 1, 2]) {
      const before = token.port
      change(token, { enabled: false })
      await lifecycle.changed(token)
      change(token, { enabled: true })
      const changed = lifecycle.changed(token)
      await settle()
      opens.at(round).resolve(socksPort())
      await changed
      expect([token.port === before, token.port?.port, token.port?.listening]).toEqual([false, PORT, true])
    }
  })

  it('leaves the clients and the port of a token alone that stays good', async () => {
    const { lifecycle, reverse } = setUp()
    const token = reverse()
    const { port } = token
    const reasons = clientOf(token)
    change(token, { label: 'another' })
    await lifecycle.changed(token)
    expect([reasons, token.port === port, port?.closed]).toEqual([[], true, false])
  })
})

describe('TokenLifecycle, the time of a token', () => {
  it('ends its clients when it is over, and says so', async () => {
    const { lifecycle, reverse, clock, emitted } = setUp()
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() + 1_000 })
    await lifecycle.added(token)
    const reasons = clientOf(token)
    clock.advance(999)
    expect(reasons).toEqual([])
    clock.advance(1)
    expect(reasons).toEqual(['the token has expired'])
    expect([emitted(), clock.pending]).toEqual([['token.added', 'token.changed'], 0])
  })

  it('runs out while the token is disabled: enabled again it stays shut', async () => {
    const { lifecycle, reverse, clock, opens, emitted } = setUp({ socksNowait: true })
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() + 1_000 })
    change(token, { enabled: false })
    await lifecycle.changed(token)
    clock.advance(1_000)
    expect([emitted(), clock.pending]).toEqual([['token.changed', 'token.changed'], 0])
    change(token, { enabled: true })
    await lifecycle.changed(token)
    expect([token.port?.closed, opens.asked.length]).toEqual([true, 0])
  })

  it('that is put off brings the port back', async () => {
    const { lifecycle, reverse, clock } = setUp()
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() + 1_000 })
    await lifecycle.added(token)
    clock.advance(1_000)
    expect(token.port?.closed).toBe(true)
    change(token, { expiresAt: clock.wallTime() + 1_000 })
    await lifecycle.changed(token)
    expect([token.port?.closed, clock.pending]).toEqual([false, 1])
  })
})

describe('TokenLifecycle.drop()', () => {
  it('takes a reverse token out with its connector tokens, and ends their clients', async () => {
    const { lifecycle, reverse, connector, tokens, emitted } = setUp()
    const token = reverse()
    const reasons = [clientOf(token), clientOf(connector(token))]
    await lifecycle.drop(token)
    expect(reasons).toEqual([['the token was removed'], ['the token was removed']])
    expect([tokens.size, token.connectors.size, token.port?.closed]).toEqual([0, 0, true])
    expect(emitted()).toEqual(['token.removed', 'token.removed'])
  })

  it('does nothing for a token that is gone, and spares a later one of its name', async () => {
    const { lifecycle, reverse, tokens, emitted } = setUp()
    const token = reverse()
    await lifecycle.drop(token)
    const later = reverse()
    const reasons = clientOf(token)
    await lifecycle.drop(token)
    expect([tokens.has(later), reasons, emitted()]).toEqual([true, [], ['token.removed']])
  })

  it('ends the wait for a port that is being opened, and frees that port', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    const token = reverse()
    const added = lifecycle.added(token)
    const dropped = lifecycle.drop(token)
    const port = socksPort()
    opens.at(0).resolve(port)
    await Promise.all([added, dropped])
    expect([port.calls, token.port?.listening]).toEqual([['close'], false])
  })

  it('forgets the time of the token, and clears the alarm of its port', async () => {
    const { lifecycle, reverse, opens, clock, alarms } = setUp({ socksNowait: true })
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() + 60_000 })
    const added = lifecycle.added(token)
    opens.at(0).reject(new Error('in use'))
    await added
    expect(alarms.active).toMatchObject([{ code: 'port-unavailable', subject: token.id }])
    await lifecycle.drop(token)
    expect([alarms.active, clock.pending]).toEqual([[], 0])
  })
})

describe('TokenLifecycle.drain()', () => {
  it('frees the ports, spares the clients, and gives no token another port', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    const token = reverse()
    const reasons = clientOf(token)
    const added = lifecycle.added(token)
    const port = socksPort()
    opens.at(0).resolve(port)
    await added
    lifecycle.drain()
    lifecycle.drain()
    expect([lifecycle.draining, reasons, new Set(port.calls)]).toEqual([true, [], new Set(['stopAccepting'])])
    await lifecycle.reconsider(token)
    expect([token.port?.closed, opens.asked.length]).toEqual([true, 1])
  })

  it('opens no port for a token that is added then', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    lifecycle.drain()
    const token = reverse()
    await lifecycle.added(token)
    await token.port?.open()
    expect([token.port?.closed, opens.asked.length]).toEqual([true, 0])
  })

  it('still ends what an operator removes', async () => {
    const { lifecycle, reverse } = setUp()
    const token = reverse()
    const reasons = clientOf(token)
    lifecycle.drain()
    await lifecycle.drop(token)
    expect(reasons).toEqual(['the token was removed'])
  })
})

describe('TokenLifecycle.close()', () => {
  it('ends every session and port, leaves the tokens in the table, and no timer', async () => {
    const { lifecycle, reverse, tokens, clock } = setUp()
    const token = reverse()
    change(token, { expiresAt: clock.wallTime() + 1_000 })
    await lifecycle.added(token)
    const reasons = clientOf(token)
    await lifecycle.close()
    expect([reasons, token.port?.closed, tokens.size, clock.pending]).toEqual([[undefined], true, 1, 0])
    expect(lifecycle.draining).toBe(true)
  })

  it('comes before a port is opened: it is opened no more', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    await lifecycle.close()
    await lifecycle.added(reverse())
    expect(opens.asked.length).toBe(0)
  })

  it('ends the wait for a port that is being opened', async () => {
    const { lifecycle, reverse, opens } = setUp({ socksNowait: true })
    const added = lifecycle.added(reverse())
    const closed = lifecycle.close()
    const port = socksPort()
    opens.at(0).resolve(port)
    await Promise.all([added, closed])
    expect(port.calls).toEqual(['close'])
  })
})
