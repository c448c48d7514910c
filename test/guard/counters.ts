import { Socket } from 'node:net'
import { WsTransport } from '../../src/node/websocket/ws-transport.js'
import { MIB } from '../../src/protocol/limits.js'
import { layerOfCaller } from './layer-of-caller.js'
import { WorkingSet } from './working-set.js'

/** Allocations of this size or more are counted: what is smaller is cheap. */
const COUNTED_FROM_BYTES = 4_096
/** Both ends of the tunnel are in this process, and each reads a MiB that is moved. */
const READS_OF_A_BYTE = 2
/** For copies that nothing of `src` made. */
const ELSEWHERE = 'elsewhere'

/** What moving data took. */
export interface Counts {
  bytesCopied: number
  /** Memory of {@link COUNTED_FROM_BYTES} and more that was made anew. */
  allocations: number
  /** Calls of the system to write, of all sockets. */
  writes: number
  /** WebSocket messages. */
  messages: number
}

/** What moving data took, by where and in what memory. */
export interface Traffic extends Counts {
  /** Bytes copied, by the layer that copied them. */
  readonly copiedBy: Readonly<Record<string, number>>
  /** Distinct KiB written while a MiB was moved: what has to fit the caches. Reads of sockets and copies count. */
  readonly kibTouched: number
  /** Distinct KiB written in the whole transfer: blocks that go round count once. */
  readonly workingSetKib: number
}

const none = (): Counts => ({ bytesCopied: 0, allocations: 0, writes: 0, messages: 0 })

let counts = none()
let copiedBy: Record<string, number> = {}
const workingSet = new WorkingSet(READS_OF_A_BYTE * MIB)

/** Counts from zero. */
export function resetCounts(): void {
  counts = none()
  copiedBy = {}
  workingSet.reset()
}

export function countsSoFar(): Traffic {
  const { kib, kibOfPart } = workingSet
  return { ...counts, copiedBy: { ...copiedBy }, kibTouched: kibOfPart, workingSetKib: kib }
}

function copied(bytes: number): void {
  counts.bytesCopied += bytes
  if (bytes === 0) return
  const layer = layerOfCaller() ?? ELSEWHERE
  copiedBy[layer] = (copiedBy[layer] ?? 0) + bytes
}

function allocated(bytes: number): void {
  if (bytes >= COUNTED_FROM_BYTES) counts.allocations += 1
}

/** A socket read so many bytes into that memory. */
function readInto(memory: Uint8Array, bytes: number): void {
  workingSet.touch(memory, 0, bytes)
  workingSet.moved(bytes)
}

type Method = (this: unknown, ...args: never[]) => unknown
type Tell = (args: readonly unknown[], result: unknown, self: unknown) => void

/** Calls `tell` with each call's arguments, result and object. */
function watch(owner: object, name: string, tell: Tell): void {
  const original = Reflect.get(owner, name) as Method
  Reflect.set(owner, name, function watched(this: unknown, ...args: never[]): unknown {
    const result = original.apply(this, args)
    tell(args, result, this)
    return result
  })
}

const bytesOf = (value: unknown): number => (ArrayBuffer.isView(value) ? value.byteLength : 0)

/** Begins to count everything in this process, for good. */
export function installCounters(): void {
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
  watch(typedArray, 'set', ([source, at = 0], _result, target) => copiedTo(target, Number(at), bytesOf(source)))
  watch(typedArray, 'slice', (_args, result) => made(result, true))
  watch(Buffer.prototype, 'copy', ([target, at = 0], result) => copiedTo(target, Number(at), Number(result)))
  watch(Buffer, 'concat', (_args, result) => made(result, true))
  watch(Buffer, 'from', ([source], result) => {
    if (!(source instanceof ArrayBuffer)) made(result, ArrayBuffer.isView(source))
  })
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'])
    watch(Buffer, name, ([bytes]) => allocated(Number(bytes)))
  watchConstructor('Uint8Array')
  watchConstructor('ArrayBuffer')
  // Node reads into fresh memory whatever it tells of in this way
  watch(Socket.prototype, 'push', ([chunk]) => {
    allocated(bytesOf(chunk))
    if (chunk instanceof Uint8Array) readInto(chunk, chunk.byteLength)
  })
  watchGivenMemory()
  watch(Socket.prototype, '_writeGeneric', () => {
    counts.writes += 1
  })
  watch(WsTransport.prototype, 'send', () => {
    counts.messages += 1
  })
}

function copiedTo(target: unknown, at: number, bytes: number): void {
  copied(bytes)
  if (target instanceof Uint8Array) workingSet.touch(target, at, bytes)
}

function made(result: unknown, copy: boolean): void {
  const bytes = bytesOf(result)
  allocated(bytes)
  if (!copy) return
  copied(bytes)
  if (ArrayBuffer.isView(result)) workingSet.touch(result, 0, bytes)
}

/**
 * Node calls a socket's `kBufferCb` when it has read into the memory that the socket was given. A socket sets that field while it
 * is made: the first time it becomes one of its own that sees what it is set to later.
 */
function watchGivenMemory(): void {
  const symbol = Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === 'kBufferCb')
  if (symbol === undefined) throw new Error('this Node reads in another way')
  type Callback = ((bytes: number, memory: Uint8Array) => unknown) | null
  const watched = (callback: Callback): Callback =>
    callback &&
    function read(this: unknown, bytes, memory) {
      readInto(memory, bytes)
      return callback.call(this, bytes, memory)
    }
  Object.defineProperty(Socket.prototype, symbol, {
    set(this: Socket, first: Callback) {
      let current = watched(first)
      Object.defineProperty(this, symbol, {
        get: () => current,
        set(next: Callback) {
          current = watched(next)
        },
        enumerable: true,
        configurable: true,
      })
    },
    configurable: true,
  })
}

function watchConstructor(name: 'Uint8Array' | 'ArrayBuffer'): void {
  const original = globalThis[name] as new (...args: unknown[]) => object
  const proxy = new Proxy(original, {
    construct(target, args: unknown[], newTarget) {
      const [source] = args
      const result = Reflect.construct(target, args, newTarget) as object
      if (typeof source === 'number') allocated(source)
      else if (ArrayBuffer.isView(source)) made(result, true)
      return result
    },
  })
  Reflect.set(globalThis, name, proxy)
}
