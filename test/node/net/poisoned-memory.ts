import { vi } from 'vitest'
import { blockPool } from '../../../src/node/net/block-pool.js'

const POISON = 0xee
const poisonBytes = new Map<number, Uint8Array>()

/** Whether every byte is poison; compared as a whole, because this is done with each block that is taken. */
function isPoison(memory: Uint8Array): boolean {
  const { byteLength } = memory
  const poison = poisonBytes.get(byteLength) ?? new Uint8Array(byteLength).fill(POISON)
  poisonBytes.set(byteLength, poison)
  return Buffer.compare(memory, poison) === 0
}

/** What came of the memory that was given back. */
export interface Poisoned {
  /** Blocks that were given back. */
  readonly given: number
  /** Blocks that somebody wrote to after they were given back, or that were given back by nobody who had them. */
  readonly spoiled: readonly string[]
}

/**
 * Fills whatever is given back to the pool, small memory too, so that whoever still reads it reads rubbish; and looks
 * whether it is still so filled when it is taken again, so that who still writes to it is seen. Until vi.restoreAllMocks().
 */
export function poisonGivenMemory(): Poisoned {
  const result = { given: 0, spoiled: [] as string[] }
  const taken = new WeakSet<ArrayBufferLike>()
  const poisoned = new WeakSet<ArrayBufferLike>()
  const take = blockPool.take.bind(blockPool)
  const give = blockPool.give.bind(blockPool)
  const retain = blockPool.retain.bind(blockPool)
  const release = blockPool.release.bind(blockPool)
  /** How often each block is retained, and those that were given back meanwhile. */
  const retained = new Map<ArrayBufferLike, number>()
  const awaited = new WeakSet<ArrayBufferLike>()
  const poison = (buffer: ArrayBufferLike): void => {
    new Uint8Array(buffer).fill(POISON)
    poisoned.add(buffer)
    result.given += 1
  }
  vi.spyOn(blockPool, 'take').mockImplementation((bytes) => {
    const view = take(bytes)
    const memory = new Uint8Array(view.buffer)
    if (poisoned.delete(view.buffer) && !isPoison(memory)) {
      result.spoiled.push(`a block of ${memory.byteLength} bytes was written to while it was free`)
    }
    taken.add(view.buffer)
    return view
  })
  vi.spyOn(blockPool, 'give').mockImplementation((view) => {
    if (taken.delete(view.buffer)) {
      if (retained.has(view.buffer)) awaited.add(view.buffer)
      else poison(view.buffer)
    } else if (poisoned.has(view.buffer)) {
      result.spoiled.push(`a block of ${view.buffer.byteLength} bytes was given back twice`)
    }
    give(view)
  })
  vi.spyOn(blockPool, 'retain').mockImplementation((view) => {
    const known = retain(view)
    if (known) retained.set(view.buffer, (retained.get(view.buffer) ?? 0) + 1)
    return known
  })
  vi.spyOn(blockPool, 'release').mockImplementation((view) => {
    const left = (retained.get(view.buffer) ?? 0) - 1
    if (left < 0) result.spoiled.push('a block was released that was not retained')
    else if (left > 0) retained.set(view.buffer, left)
    else {
      retained.delete(view.buffer)
      if (awaited.delete(view.buffer)) poison(view.buffer)
    }
    release(view)
  })
  return result
}
