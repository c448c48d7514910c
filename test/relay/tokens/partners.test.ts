import { describe, expect, it } from 'vitest'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import type { RelayClient } from '../../../src/relay/clients/relay-client.js'
import { tellPartners } from '../../../src/relay/tokens/partners.js'
import type { ReverseToken } from '../../../src/relay/tokens/tokens.js'
import { settle } from '../../support/manual-clock.js'
import { agentWorld, uuid, World } from '../world.js'

describe('Partners', () => {
  it('are told after authentication, behind the AuthResponse', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    const connector = await world.join('member')
    for (const peer of [provider, connector]) {
      expect(peer.messages.slice(0, 2).map(({ type }) => type)).toEqual([
        MessageType.AuthResponse,
        MessageType.Partners,
      ])
    }
    expect([provider.partners, connector.partners]).toEqual([1, 1])
  })

  it('are 0 for whoever comes first, and follow each change', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    expect(connector.partners).toBe(0)
    const one = await world.join('tenant')
    const two = await world.join('tenant')
    expect(connector.partners).toBe(2)
    one.transport.abort()
    await settle()
    expect(connector.partners).toBe(1)
    connector.transport.abort()
    await settle()
    expect(two.partners).toBe(0)
  })

  it('count several links of one instance once', async () => {
    const world = await agentWorld()
    const [providerId, connectorId] = [uuid(), uuid()]
    const connector = await world.join('member', { instance: connectorId, extensions: true })
    const providers = [
      await world.join('tenant', { instance: providerId, extensions: true }),
      await world.join('tenant', { instance: providerId, extensions: true }),
    ]
    await world.join('member', { instance: connectorId, extensions: true })
    expect(connector.partners).toBe(1)
    expect(providers.map((peer) => peer.partners)).toEqual([1, 1])
    providers[0]?.transport.abort()
    await settle()
    expect(connector.partners).toBe(1)
  })

  it('tell changes only', async () => {
    const world = await agentWorld()
    const connector = await world.join('member')
    const instance = uuid()
    for (let count = 0; count < 3; count += 1) await world.join('tenant', { instance })
    expect(connector.of(MessageType.Partners).map(({ count }) => count)).toEqual([0, 1])
  })

  it('stay within the tenant', async () => {
    const world = await agentWorld()
    await world.relay.addToken({ type: 'reverse', token: 'tenant2' })
    await world.relay.addToken({ type: 'connector', token: 'member2', reverseToken: 'tenant2' })
    await world.relay.addToken({ type: 'forward', token: 'forward' })
    const connector = await world.join('member')
    const [provider2, connector2] = [await world.join('tenant2'), await world.join('member2')]
    const forward = await world.join('forward')
    await world.join('member2')
    expect([connector.partners, provider2.partners, connector2.partners, forward.partners]).toEqual([
      0,
      2,
      1,
      undefined,
    ])
  })

  it('of autonomy instances are their own', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'reverse', token: 'tenant', allowManageConnector: true })
    const [one, two] = [
      await world.join('tenant', { instance: uuid() }),
      await world.join('tenant', { instance: uuid() }),
    ]
    await one.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }))
    const connector = await world.join('mine')
    expect([one.partners, two.partners, connector.partners]).toEqual([1, 0, 1])
    one.transport.abort()
    await settle()
    expect(connector.partners).toBe(0)
    two.transport.abort()
  })

  it('forget the connectors of a removed token', async () => {
    const world = await agentWorld()
    const provider = await world.join('tenant')
    const connectors = [await world.join('member'), await world.join('member')]
    expect(provider.partners).toBe(2)
    await world.relay.removeToken('member')
    await settle()
    expect(provider.partners).toBe(0)
    expect(connectors.every(({ closed }) => closed !== undefined)).toBe(true)
  })

  it('cost one look at each link, however many providers and connectors there are', () => {
    let looks = 0
    const client = (group: string): RelayClient =>
      ({
        get group() {
          looks += 1
          return group
        },
        tellPartners: () => {},
      }) as unknown as RelayClient
    const clients = Array.from({ length: 500 }, (_, index) => client(`provider ${index}`))
    const connectors = Array.from({ length: 500 }, (_, index) => ({
      owner: `provider ${index}`,
      clients: new Set([client(`connector ${index}`)]),
    }))
    const tenant = { connectors: new Set(connectors), providers: { entries: clients } }
    tellPartners(tenant as unknown as ReverseToken)
    expect(looks).toBeLessThan(2_000)
  })
})
