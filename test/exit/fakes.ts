import { LinkSocksError } from '../../src/errors.js'
import type { LogFields, Logger } from '../../src/log.js'
import type {
  AbortOptions,
  BoundDatagramSocket,
  ByteStream,
  DatagramHandler,
  SocketAddress,
  Target,
} from '../../src/ports.js'

/** A call that the test settles; the signal it was given ends it as a port must. */
export class Pending<T> {
  readonly promise: Promise<T>
  readonly signal: AbortSignal | undefined
  #resolve: (value: T) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor({ signal }: AbortOptions = {}, heedsSignal = true) {
    this.signal = signal
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (heedsSignal) signal?.addEventListener('abort', () => this.#reject(LinkSocksError.cancelled(signal)))
  }

  get aborted(): boolean {
    return this.signal?.aborted ?? false
  }

  resolve(value: T): void {
    this.#resolve(value)
  }

  reject(error: unknown): void {
    this.#reject(error)
  }
}

/** A port function whose calls the test settles by hand, in the order they came. */
export class Calls<Argument, T> {
  readonly asked: Argument[] = []
  readonly pending: Pending<T>[] = []
  readonly #heedSignal: boolean

  constructor({ heedSignal = true } = {}) {
    this.#heedSignal = heedSignal
  }

  readonly call = (argument: Argument, options?: AbortOptions): Promise<T> => {
    const pending = new Pending<T>(options, this.#heedSignal)
    this.asked.push(argument)
    this.pending.push(pending)
    return pending.promise
  }

  at(index: number): Pending<T> {
    const pending = this.pending[index]
    if (pending === undefined) throw new Error(`only ${this.pending.length} calls`)
    return pending
  }
}

/** A stream that does nothing but remember how it ended. */
export class IdleStream implements ByteStream {
  aborted: LinkSocksError | undefined
  start(): void {}
  handBack(): void {}
  consume(): void {}
  write(): void {}
  end(): void {}
  close(): void {}
  abort(reason: LinkSocksError): void {
    this.aborted ??= reason
  }
}

export interface Sent {
  readonly data: Uint8Array
  readonly to: Target
}

export class FakeSocket implements BoundDatagramSocket {
  readonly address: SocketAddress
  readonly sent: Sent[] = []
  closed = false
  handler: DatagramHandler | undefined

  constructor(host: string) {
    this.address = { host, port: 40_000 }
  }

  get sentBytes(): number {
    return this.sent.reduce((sum, { data }) => sum + data.byteLength, 0)
  }

  start(handler: DatagramHandler): void {
    if (this.handler !== undefined) throw new Error('start() called twice')
    this.handler = handler
  }

  send(data: Uint8Array, to: Target): void {
    if (this.closed) throw new Error('send() after close()')
    this.sent.push({ data, to })
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.handler?.close()
  }

  /** Every datagram sent, as `text>host:port`. */
  get texts(): readonly string[] {
    return this.sent.map(({ data, to }) => `${new TextDecoder().decode(data)}>${to.host}:${to.port}`)
  }
}

/** Binds {@link FakeSocket}s and remembers them. */
export class FakeUdp {
  readonly sockets: FakeSocket[] = []
  failure: ((host: string) => Error | undefined) | undefined

  readonly bind = async (host: string): Promise<BoundDatagramSocket> => {
    const error = this.failure?.(host)
    if (error !== undefined) throw error
    const socket = new FakeSocket(host)
    this.sockets.push(socket)
    return socket
  }

  socket(index: number): FakeSocket {
    const socket = this.sockets[index]
    if (socket === undefined) throw new Error(`only ${this.sockets.length} sockets`)
    return socket
  }
}

/** What a DatagramSocket delivered. */
export class Received implements DatagramHandler {
  readonly texts: string[] = []
  closes = 0
  error: LinkSocksError | undefined

  datagram(data: Uint8Array, { host, port }: SocketAddress): void {
    this.texts.push(`${new TextDecoder().decode(data)}<${host}:${port}`)
  }

  close(error?: LinkSocksError): void {
    this.closes += 1
    this.error = error
  }
}

export class RecordingLog implements Logger {
  readonly lines: { readonly event: string; readonly fields: LogFields }[] = []
  readonly debug = this.#add('debug')
  readonly info = this.#add('info')
  readonly warn = this.#add('warn')
  readonly error = this.#add('error')

  named(event: string): readonly LogFields[] {
    return this.lines.filter((line) => line.event === event).map((line) => line.fields)
  }

  #add(_level: string) {
    return (event: string, fields: LogFields = {}): void => {
      this.lines.push({ event, fields })
    }
  }
}

/** The error `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<LinkSocksError> {
  try {
    await promise
  } catch (thrown) {
    if (thrown instanceof LinkSocksError) return thrown
    throw thrown
  }
  throw new Error('it did not fail')
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
