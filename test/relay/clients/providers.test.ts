import { describe, expect, it } from 'vitest'
import { createProviders, MAX_WAITING_FOR_PROVIDER } from '../../../src/relay/clients/providers.js'
import type { RelayClient } from '../../../src/relay/clients/relay-client.js'
import { ManualClock } from '../../support/manual-clock.js'

describe('createProviders()', () => {
  it('makes a pool in which 10,000 requests may wait for a provider and no more', async () => {
    const clock = new ManualClock()
    const providers = createProviders(clock)
    const waiting = Array.from({ length: MAX_WAITING_FOR_PROVIDER }, () => providers.choose({ waitMs: 1_000 }))
    await expect(providers.choose({ waitMs: 1_000 })).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: 'too many requests wait for a provider',
    })
    const provider = { session: { available: true } } as unknown as RelayClient
    providers.add(provider)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([provider]))
    expect(clock.pending).toBe(0)
  })

  it('makes a pool that says that no provider is there', async () => {
    await expect(createProviders(new ManualClock()).choose({ waitMs: 0 })).rejects.toMatchObject({
      code: 'ERR_DIAL_NETWORK_UNREACHABLE',
      message: 'no available reverse clients',
    })
  })
})
