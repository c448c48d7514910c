import { ascending, numbers, shareOf } from './common.mjs'

const TIMES = 5
/** Between two looks at the clock. */
const AT_ONCE = 16

/**
 * Copies `from` into the blocks of an area, in an order that no prefetcher foresees; their number is a power of two.
 *
 * @param {Uint8Array} from
 * @param {readonly Uint8Array[]} blocks
 * @param {number} ms
 */
function speed(from, blocks, ms) {
  const step = Math.floor(blocks.length * 0.618) | 1
  const began = performance.now()
  let now = began
  let copied = 0
  for (let at = 0; now - began < ms; now = performance.now()) {
    for (let i = 0; i < AT_ONCE; i++, copied += from.byteLength) {
      blocks[at]?.set(from)
      at = (at + step) % blocks.length
    }
  }
  return copied / 1e6 / (now - began)
}

function usualSpeed(
  /** @type {Uint8Array} */ from,
  /** @type {readonly Uint8Array[]} */ blocks,
  /** @type {number} */ ms,
) {
  return shareOf(ascending(Array.from({ length: TIMES }, () => speed(from, blocks, ms))), 0.5)
}

export async function copy() {
  const { block = 65_536, area: bytes = 134_217_728, ms = 30 } = numbers
  const count = 2 ** Math.floor(Math.log2(Math.max(1, bytes / block)))
  const area = Buffer.alloc(count * block, 1)
  const blocks = Array.from({ length: count }, (_, i) => area.subarray(i * block, (i + 1) * block))
  const from = Buffer.alloc(block, 1)
  return { hot: usualSpeed(from, blocks.slice(0, 1), ms), cold: usualSpeed(from, blocks, ms) }
}
