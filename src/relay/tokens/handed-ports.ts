/**
 * Proxy ports whose sockets the relay was handed: connections wait in their queues while one server ends and the next one
 * begins. Such a port is bound as long as the relay is, whatever becomes of its token.
 */
export interface HandedPorts {
  /** Their numbers. Without any the relay has other sockets that were handed to it. */
  readonly ports: ReadonlySet<number>
  /** Connections wait no longer: while no token has the port open, each is ended at once. */
  refuse(port: number): void
  /** Gives up all of them for good. Idempotent. */
  release(): void
}
