import { describe, expect, it } from 'vitest'
import { Exit } from '../../src/exit/exit.js'
import { silentLogger } from '../../src/log.js'
import type { Session } from '../../src/mux/session.js'
import { FakeSocket } from '../exit/fakes.js'
import { settle } from '../support/manual-clock.js'
import { agentWorld } from './world.js'

describe('an association through the relay', () => {
  it('reaches the exit of a provider and comes back, between sessions of ours', async () => {
    const world = await agentWorld()
    const far = new FakeSocket('0.0.0.0')
    const dialer = { dial: () => Promise.reject(new Error('no stream')), associate: async () => far }
    const exit = new Exit({ dialer, log: silentLogger })
    let provider: Session | undefined
    const joined = await world.joinSession(
      'tenant',
      { connect: (message) => provider !== undefined && exit.connect(provider, message) },
      true,
    )
    provider = joined.session
    const connector = await world.joinSession('member', {})
    await settle()
    const associating = connector.dialer.associate()
    await settle()
    const socket = await associating
    const got: string[] = []
    socket.start({ datagram: (bytes) => got.push(new TextDecoder().decode(bytes)), close: () => got.push('close') })
    socket.send(new TextEncoder().encode('q'), { host: '127.0.0.1', port: 53 })
    await settle()
    expect(far.texts).toEqual(['q>127.0.0.1:53'])
    far.handler?.datagram(new TextEncoder().encode('a'), { host: '127.0.0.1', port: 53 })
    await settle()
    socket.close()
    await settle()
    expect(got).toEqual(['a', 'close'])
    expect(far.closed).toBe(true)
    expect([connector.session.channels, joined.session.channels]).toEqual([0, 0])
  })
})
