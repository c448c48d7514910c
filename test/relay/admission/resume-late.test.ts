import { describe, expect, it } from 'vitest'
import { encodeConnector, MessageType } from '../../../src/protocol/messages.js'
import { agentWorld, uuid, World } from '../world.js'
import { countOf, idOf, joinResumable, lose, wentOn } from './resume-peers.js'

async function autonomous(resumeTimeoutMs: number, instance: Uint8Array | undefined, awayMs: number) {
  const world = new World({ resumeTimeoutMs })
  await world.relay.addToken({ type: 'reverse', token: 'auto', allowManageConnector: true })
  const provider = await joinResumable(world, 'auto', { reverse: true, ...(instance && { instance }) })
  await provider.send(encodeConnector({ requestId: uuid(), token: 'mine', operation: 1 }))
  await lose(provider)
  await world.clock.advanceAsync(awayMs)
  const again = await joinResumable(world, 'auto', {
    reverse: true,
    ...(instance && { instance }),
    id: idOf(provider),
    received: countOf(provider),
  })
  expect(wentOn(again)).toBe(true)
  const connector = await world.join('mine')
  return connector.of(MessageType.AuthResponse).map(({ success }) => success)
}

describe('Relay, a client that comes back late', () => {
  it('still has its connector tokens after 90 s, where it may be away so long', async () => {
    expect(await autonomous(300_000, uuid(), 90_000)).toEqual([true])
  })
  it('still has them without an instance UUID', async () => {
    expect(await autonomous(60_000, undefined, 10)).toEqual([true])
  })

  it('is known by the id of its present answer, even when an attempt with the one before arrives behind it', async () => {
    const world = await agentWorld()
    const first = await joinResumable(world, 'member')
    await lose(first)
    const ticket = { id: idOf(first), received: countOf(first) }
    const present = await joinResumable(world, 'member', ticket)
    // an attempt that the client gave up before; its Auth comes late
    const late = await joinResumable(world, 'member', ticket)
    await lose(late)
    const again = await joinResumable(world, 'member', {
      id: idOf(present),
      received: ticket.received + countOf(present),
    })
    expect(wentOn(again)).toBe(true)
  })
})
