import { describe, expect, it } from 'vitest'
import { sizeFor, type WindowUse } from '../../../src/mux/flow/window-sizing.js'
import { INITIAL_WINDOW_BYTES, KIB, MAX_WINDOW_BYTES, MIB } from '../../../src/protocol/limits.js'

/** A window as it begins, of which a long path of 100 ms is the limit. */
const USE: WindowUse = { size: INITIAL_WINDOW_BYTES, took: 100, roundTrip: 100, busy: 1, pressing: false }

describe('sizeFor', () => {
  it.each<[string, Partial<WindowUse>, number]>([
    ['eight times as much where the sender waits for credit', {}, 8 * INITIAL_WINDOW_BYTES],
    ['eight times as much just below one and a half round trips', { took: 149.9 }, 8 * INITIAL_WINDOW_BYTES],
    ['the same at one and a half round trips', { took: 150 }, INITIAL_WINDOW_BYTES],
    ['the largest window where eight times as much were more', { size: 4 * MIB }, MAX_WINDOW_BYTES],
    ['the largest window where it has that', { size: MAX_WINDOW_BYTES }, MAX_WINDOW_BYTES],
    ['more than a share again where a short path became long', { size: 128 * KIB }, MIB],
    ['the same while no whole window was consumed', { size: MIB, took: undefined }, MIB],
    ['the same where the path is not known', { size: MIB, roundTrip: undefined }, MIB],
    ['the first size for few readers at a short path', { size: MIB, roundTrip: 0.9, busy: 4 }, INITIAL_WINDOW_BYTES],
    ['a share of 2 MiB for more readers', { roundTrip: 0.9, busy: 5 }, Math.floor((2 * MIB) / 5)],
    ['a share of no less than 128 KiB', { roundTrip: 0.9, busy: 17 }, 128 * KIB],
    ['a larger share where fewer readers are left', { size: 128 * KIB, roundTrip: 0.9, busy: 8 }, 256 * KIB],
    ['a share where the answer was queued', { roundTrip: 'queued', busy: 8 }, 256 * KIB],
    ['no share where the path takes 1 ms', { took: 2, roundTrip: 1, busy: 8 }, INITIAL_WINDOW_BYTES],
    ['the same just below three round trips and 10 ms', { size: 16 * MIB, took: 309.9 }, 16 * MIB],
    ['what two round trips and 5 ms carry, where more waits', { size: 16 * MIB, took: 410 }, 8 * MIB],
    ['no less than a share where more waits', { size: MIB, took: 1_000, busy: 4 }, INITIAL_WINDOW_BYTES],
    ['the same where the sender paused', { size: 16 * MIB, took: 1_001 }, 16 * MIB],
    ['a share of 2 MiB where that waits at a path of 2 ms', { took: 50, roundTrip: 2, busy: 8 }, 256 * KIB],
    ['no more than it has where that waits', { size: 128 * KIB, took: 50, roundTrip: 2, busy: 2 }, 128 * KIB],
    ['the first size where much waits', { size: MIB, pressing: true }, INITIAL_WINDOW_BYTES],
    ['the first size where much waits and nothing is known', { size: MIB, pressing: true, took: undefined }, 512 * KIB],
    ['what it has of less where much waits', { size: 128 * KIB, pressing: true }, 128 * KIB],
  ])('gives %s', (_what, use, size) => {
    expect(sizeFor({ ...USE, ...use })).toBe(size)
  })
})
