import { KIB } from '../../protocol/limits.js'

/** Read from a socket at a time. All sockets read into the same memory, for what was read is used up before the next read. */
export const READ_BYTES = 256 * KIB
/** Largest frame that is put together here. */
export const MASK_BLOCK_BYTES = 257 * KIB
/**
 * Where in a page reading begins. Large blocks of the pool begin where a page does, and on some processors `rep movsb`, which copies for libc,
 * takes ten times as long when the destination's place in its page is up to 15 bytes beyond that of the source. Half a page lies between.
 */
const READ_OFFSET_BYTES = 2 * KIB
/** Where the blocks for frames begin. */
const BLOCKS_AT = READ_OFFSET_BYTES + READ_BYTES
/** Frames on their way at a time; what goes beyond that is masked where it is. */
const BLOCKS = 8

/** What `frame-mask.wat` compiles to; a test compares them. */
export const MASK_CODE =
  'AGFzbQEAAAABBwFgA39/fwACFQEJbGlua3NvY2tzBm1lbW9yeQIAAQMCAQAHCAEEbWFzawAACpIBAY8BAQF7IAL9ESEDAkADQCABIABrQcAASQ0B' +
  'IAAgAP0ABAAgA/1R/QsEACAAIAD9AAQQIAP9Uf0LBBAgACAA/QAEICAD/VH9CwQgIAAgAP0ABDAgA/1R/QsEMCAAQcAAaiEADAALCwJAA0AgACAB' +
  'Tw0BIAAgAC0AACACczoAACACQQh4IQIgAEEBaiEADAALCws='

const PAGE_BYTES = 64 * KIB

// @types/node has no WebAssembly
interface Memory {
  readonly buffer: ArrayBuffer
}
type Mask = (from: number, to: number, key: number) => void
declare const WebAssembly:
  | {
      readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => Memory
      readonly Module: new (code: Uint8Array) => object
      readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly mask: Mask } }
    }
  | undefined

/**
 * Memory whose bytes WebAssembly masks, six times as fast as JavaScript does: where all sockets read to, and where the frames of
 * clients are put together. Untouched parts of it cost no memory. Without WebAssembly (node --jitless) it is memory like any other.
 */
class MaskMemory {
  /** Where sockets read to. */
  readonly readBuffer: Buffer
  readonly #buffer: ArrayBuffer
  readonly #mask: Mask | undefined
  readonly #free: Uint8Array[]

  constructor() {
    const bytes = BLOCKS_AT + BLOCKS * MASK_BLOCK_BYTES
    const made = instantiate(bytes)
    this.#buffer = made?.memory.buffer ?? new ArrayBuffer(bytes)
    this.#mask = made?.mask
    this.readBuffer = Buffer.from(this.#buffer, READ_OFFSET_BYTES, READ_BYTES)
    const blocks = Array.from(
      { length: made === undefined ? 0 : BLOCKS },
      (_, i) => new Uint8Array(this.#buffer, BLOCKS_AT + i * MASK_BLOCK_BYTES, MASK_BLOCK_BYTES),
    )
    // the first one goes round and round, and the last ones are never touched
    this.#free = blocks.reverse()
  }

  /** Whether `bytes` lie here, so that `mask()` may be called for them. */
  holds(bytes: Uint8Array): boolean {
    return bytes.buffer === this.#buffer && this.#mask !== undefined
  }

  /** @param key the four bytes of the key as they lie over the first of `bytes`, that one in the lowest bits */
  mask(bytes: Uint8Array, key: number): void {
    this.#mask?.(bytes.byteOffset, bytes.byteOffset + bytes.byteLength, key)
  }

  /** A block of {@link MASK_BLOCK_BYTES}, of any content; `undefined` when all are in use. */
  take(): Uint8Array | undefined {
    return this.#free.pop()
  }

  /** Gives back what `take()` gave, once. */
  give(block: Uint8Array): void {
    this.#free.push(block)
  }
}

function instantiate(bytes: number): { memory: Memory; mask: Mask } | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  try {
    const pages = Math.ceil(bytes / PAGE_BYTES)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const module = new WebAssembly.Module(Buffer.from(MASK_CODE, 'base64'))
    const { exports } = new WebAssembly.Instance(module, { linksocks: { memory } })
    return { memory, mask: exports.mask }
  } catch {
    // no SIMD, or too little address space (ulimit -v): masking is slower then
    return undefined
  }
}

let instance: MaskMemory | undefined

/** The one of this process, made when it is first needed. */
export function maskMemory(): MaskMemory {
  instance ??= new MaskMemory()
  return instance
}
