import type { LinkSocksError } from '../errors.js'
import type { ClientOptions, CloseOptions, ServerOptions } from '../node/options.js'
import type { SocketAddress } from '../ports.js'

/** What the program uses of the library's Server. */
export interface ServerHandle {
  listen(): Promise<SocketAddress>
  /** What it listens on, as URLs, once it does. */
  readonly addresses: readonly string[]
  /** Reads the files of its certificates again. Never rejects. */
  reload(): Promise<void>
  close(options?: CloseOptions): Promise<void>
}

/** What the program uses of the library's Client. */
export interface ClientHandle {
  /** Settles when it ended for good: with an error, or `undefined` after `close()`. */
  readonly closed: Promise<LinkSocksError | undefined>
  /** Resolves once the first link is up. */
  start(): Promise<void>
  close(options?: CloseOptions): Promise<void>
}

/** The part of the library that the program uses. */
export interface Library {
  readonly Server: new (options: ServerOptions) => ServerHandle
  readonly Client: new (options: ClientOptions) => ClientHandle
}
