import { Socket } from 'node:net'
import { WsTransport } from '../../src/node/websocket/ws-transport.js'

/** Allocations of this size or more are counted: what is smaller is cheap. */
const COUNTED_FROM_BYTES = 4_096

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

const none = (): Counts => ({ bytesCopied: 0, allocations: 0, writes: 0, messages: 0 })

let counts = none()

/** Counts from zero. */
export function resetCounts(): void {
  counts = none()
}

export function countsSoFar(): Counts {
  return { ...counts }
}

function copied(bytes: number): void {
  counts.bytesCopied += bytes
}

function allocated(bytes: number): void {
  if (bytes >= COUNTED_FROM_BYTES) counts.allocations += 1
}

type Method = (this: unknown, ...args: never[]) => unknown

/** Calls `tell` with each call's arguments and result. */
function watch(owner: object, name: string, tell: (args: readonly unknown[], result: unknown) => void): void {
  const original = Reflect.get(owner, name) as Method
  Reflect.set(owner, name, function watched(this: unknown, ...args: never[]): unknown {
    const result = original.apply(this, args)
    tell(args, result)
    return result
  })
}

const bytesOf = (value: unknown): number => (ArrayBuffer.isView(value) ? value.byteLength : 0)

/** Begins to count everything in this process, for good. */
export function installCounters(): void {
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
  watch(typedArray, 'set', ([source]) => copied(bytesOf(source)))
  watch(typedArray, 'slice', (_args, result) => made(bytesOf(result), true))
  watch(Buffer.prototype, 'copy', (_args, result) => copied(Number(result)))
  watch(Buffer, 'concat', (_args, result) => made(bytesOf(result), true))
  watch(Buffer, 'from', ([source], result) => {
    if (!(source instanceof ArrayBuffer)) made(bytesOf(result), ArrayBuffer.isView(source))
  })
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'])
    watch(Buffer, name, ([bytes]) => allocated(Number(bytes)))
  watchConstructor('Uint8Array')
  watchConstructor('ArrayBuffer')
  // Node reads into fresh memory whatever it tells of in this way
  watch(Socket.prototype, 'push', ([chunk]) => allocated(bytesOf(chunk)))
  watch(Socket.prototype, '_writeGeneric', () => {
    counts.writes += 1
  })
  watch(WsTransport.prototype, 'send', () => {
    counts.messages += 1
  })
}

function made(bytes: number, copy: boolean): void {
  allocated(bytes)
  if (copy) copied(bytes)
}

function watchConstructor(name: 'Uint8Array' | 'ArrayBuffer'): void {
  const original = globalThis[name] as new (...args: unknown[]) => object
  const proxy = new Proxy(original, {
    construct(target, args: unknown[], newTarget) {
      const [source] = args
      if (typeof source === 'number') allocated(source)
      else if (ArrayBuffer.isView(source)) made(source.byteLength, true)
      return Reflect.construct(target, args, newTarget) as object
    },
  })
  Reflect.set(globalThis, name, proxy)
}
