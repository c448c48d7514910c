import { describe, expect, it } from 'vitest'
import { ReceiveBuffer } from '../../src/streams/receive-buffer.js'

describe('ReceiveBuffer', () => {
  it('keeps bytes in order, whatever pieces they come and go in', () => {
    const bytes = Uint8Array.from({ length: 500 }, (_, index) => index & 0xff)
    for (const piece of [1, 63, 64, 65, 200]) {
      const buffer = new ReceiveBuffer()
      const taken: number[] = []
      for (let start = 0; start < bytes.length; start += piece) {
        buffer.append(bytes.subarray(start, start + piece))
        const view = buffer.view()
        taken.push(...view.subarray(0, view.length >> 1))
        buffer.take(view.length >> 1)
      }
      taken.push(...buffer.takeAll())
      expect(taken).toEqual([...bytes])
      expect(buffer.view().length).toBe(0)
    }
  })

  it('never overwrites bytes that it has given out', () => {
    const buffer = new ReceiveBuffer()
    buffer.append(Uint8Array.of(1, 2, 3))
    const given = buffer.view()
    buffer.take(3)
    buffer.append(Uint8Array.of(7, 8, 9))
    buffer.append(new Uint8Array(100).fill(5))
    expect([...given]).toEqual([1, 2, 3])
  })

  it('keeps nothing of a chunk that its owner uses again', () => {
    const buffer = new ReceiveBuffer()
    const chunk = Uint8Array.of(1, 2, 3)
    buffer.append(chunk)
    chunk.fill(0)
    expect([...buffer.takeAll()]).toEqual([1, 2, 3])
  })
})
