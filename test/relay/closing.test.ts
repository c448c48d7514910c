import { describe, expect, it } from 'vitest'
import { settle } from '../support/manual-clock.js'
import { connectTcp } from './splice/channels.js'
import { uuid, World } from './world.js'

describe('a session that is being closed', () => {
  it('opens no channel any more, though its peer has not heard of the end', async () => {
    const world = new World()
    await world.relay.addToken({ type: 'forward', token: 'f' })
    const peer = await world.join('f', { extensions: true })
    peer.far.hold()
    for (let count = 0; count < 5_000; count += 1) peer.transport.send(connectTcp(uuid(), 65_536))
    await settle()
    const before = world.dials.asked.length
    expect(before).toBeGreaterThan(0)
    world.relay.disconnect(world.relay.clients()[0]?.id ?? '')
    await settle()
    expect(world.relay.clients()).toHaveLength(1)
    await peer.send(connectTcp(uuid(), 65_536))
    await settle()
    expect(world.dials.asked).toHaveLength(before)
    await world.clock.advanceAsync(5_000)
    expect(world.relay.clients()).toEqual([])
  })
})
