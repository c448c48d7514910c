import { Socket } from 'node:net'
import { maskMemory } from './mask-memory.js'

/*
 * Node has `onread` for sockets that it connects, and nothing of the kind for those it accepts or that spoke HTTP
 * first. What lies below `onread` is this: three fields of the socket and one call of its handle.
 */
const FIELDS = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const
type Fields = Readonly<Record<(typeof FIELDS)[number], symbol>>

interface Handle {
  useUserBuffer(buffer: Uint8Array): void
}

export interface SocketReaderOptions {
  /** What was read of the connection before. */
  readonly early?: Uint8Array | undefined
  /** Lets Node read into fresh memory, as it does behind bytes it has buffered, and where it lacks what shared memory needs. @default false */
  readonly fresh?: boolean | undefined
}

/**
 * Reads a socket into memory that all sockets share. `read` gets bytes that are there during the call alone: it copies what
 * it keeps. Nothing is read before resume().
 */
export class SocketReader {
  readonly #socket: Socket
  readonly #read: (bytes: Uint8Array) => void
  #paused = true
  /** Came before it was wanted. */
  #early: Uint8Array[] = []

  constructor(socket: Socket, read: (bytes: Uint8Array) => void, { early, fresh = false }: SocketReaderOptions = {}) {
    this.#socket = socket
    this.#read = read
    socket.pause()
    this.#keep(early)
    // behind bytes that Node has buffered their end may lie, and Node alone keeps these in order
    const handle = fresh || socket.readableLength > 0 ? undefined : handleOf(socket)
    const fields = handle && fieldsOf(socket)
    socket.on('data', (bytes: Uint8Array) => this.#arrived(bytes))
    if (handle !== undefined && fields !== undefined) this.#share(handle, fields)
  }

  /** Idempotent, as resume() is. */
  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#early.length === 0) this.#socket.resume()
    // not from inside the call of whoever resumes
    else queueMicrotask(() => this.#deliverEarly())
  }

  #share(handle: Handle, fields: Fields): void {
    const memory = maskMemory().readBuffer
    const onRead = (bytes: number): boolean => {
      this.#shared(memory.subarray(0, bytes))
      // false stops the handle, which Node may have started by itself
      return !this.#paused
    }
    const internals = this.#socket as unknown as Record<symbol, unknown>
    internals[fields.kBuffer] = memory
    internals[fields.kBufferGen] = null
    internals[fields.kBufferCb] = onRead
    handle.useUserBuffer(memory)
    // stops what Node may have begun: an end of file would be told of though nobody reads yet
    this.#socket.pause()
  }

  /**
   * What TLS has decrypted it tells of, pause or not, and of the end with it. Node keeps these in order: what is not wanted yet becomes
   * 'data' later.
   */
  #shared(bytes: Uint8Array): void {
    const waits = this.#paused || this.#early.length > 0 || this.#socket.readableLength > 0
    if (waits) this.#socket.push(Buffer.from(bytes))
    else this.#read(bytes)
  }

  #arrived(bytes: Uint8Array): void {
    if (this.#paused || this.#early.length > 0) this.#keep(bytes)
    else this.#read(bytes)
  }

  #keep(bytes: Uint8Array | undefined): void {
    if (bytes !== undefined && bytes.byteLength > 0) this.#early.push(new Uint8Array(bytes))
  }

  #deliverEarly(): void {
    while (!this.#paused) {
      const bytes = this.#early.shift()
      if (bytes === undefined) {
        this.#socket.resume()
        return
      }
      this.#read(bytes)
    }
  }
}

function handleOf(socket: Socket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<Handle> | null }
  // TLS has a handle of its own, which can do the same; what is neither is not known
  const known = Object.getPrototypeOf(socket) === Socket.prototype || 'encrypted' in socket
  return known && typeof handle?.useUserBuffer === 'function' ? (handle as Handle) : undefined
}

let known: Fields | undefined

/** The symbols are the same for every socket: looked for until they were found once. */
function fieldsOf(socket: Socket): Fields | undefined {
  if (known !== undefined) return known
  const symbols = Object.getOwnPropertySymbols(socket)
  const [kBuffer, kBufferCb, kBufferGen] = FIELDS.map((name) => symbols.find(({ description }) => description === name))
  if (kBuffer === undefined || kBufferCb === undefined || kBufferGen === undefined) return undefined
  known = { kBuffer, kBufferCb, kBufferGen }
  return known
}
