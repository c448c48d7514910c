import { describe, expect, it } from 'vitest'
import { messageTransportContract } from '../contract/message-transport.js'
import { TransportRecorder } from '../contract/transport-recorder.js'
import { memoryTransportPair } from './memory-transport.js'

messageTransportContract('MemoryTransport', () => {
  const [a, b] = memoryTransportPair()
  return {
    a,
    b,
    cleanup() {
      a.abort()
      b.abort()
    },
  }
})

function heldPair() {
  const [a, b] = memoryTransportPair({ hold: true })
  const [atA, atB] = [new TransportRecorder(), new TransportRecorder()]
  a.start(atA)
  b.start(atB)
  return { a, b, atA, atB }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('MemoryTransport', () => {
  it('keeps held frames until flush() lets some go', async () => {
    const { a, atB } = heldPair()
    for (let i = 0; i < 4; i += 1) a.send(Uint8Array.of(i))
    await turn()
    expect(a.bufferedAmount).toBe(4)
    a.flush(3)
    await turn()
    expect(atB.messages.length).toBe(3)
    expect(a.queuedFrames).toBe(1)
    a.letGo()
    await turn()
    expect(atB.messages.length).toBe(4)
  })

  it('cuts both ends with the error', async () => {
    const { a, b, atA, atB } = heldPair()
    a.send(Uint8Array.of(1))
    a.cut()
    expect(await atA.closed()).toMatchObject({ code: 1006, error: { code: 'ERR_LINK_LOST' } })
    expect(await atB.closed()).toMatchObject({ code: 1006, error: { code: 'ERR_LINK_LOST' } })
    expect(atB.messages).toEqual([])
    expect([a.closed, b.closed]).toEqual([true, true])
  })
})
