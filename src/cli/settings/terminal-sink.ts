import { Buffer } from 'node:buffer'
import { constants, openSync, writeSync } from 'node:fs'

/** Where log lines go. What writes at once has neither a length nor a drain. */
export interface LineSink {
  write(text: string): unknown
  /** Bytes that were not taken yet. */
  readonly writableLength?: number | undefined
  once?(event: 'drain', listener: () => void): unknown
}

/** How often a terminal that takes nothing is tried again. */
const RETRY_MS = 100
/** Opened anew: what the process shares with others must not become non-blocking for them. */
const PATHS: Readonly<Partial<Record<NodeJS.Platform, string>>> = { linux: '/proc/self/fd/2', darwin: '/dev/tty' }

/** Writes to a descriptor that may say that it takes no more now. */
export type WriteNow = (bytes: Uint8Array) => number

/**
 * The terminal of standard error, written to without waiting: Node writes to terminals in one go, and one that stands still (Ctrl-S, a
 * hung session) would stop the process. What it does not take waits.
 */
export class TerminalSink implements LineSink {
  readonly #write: WriteNow
  #waiting = Buffer.alloc(0)
  #retry: NodeJS.Timeout | undefined
  #drained: (() => void)[] = []

  /** @param write throws EAGAIN when it takes nothing now */
  constructor(write: WriteNow) {
    this.#write = write
  }

  get writableLength(): number {
    return this.#waiting.byteLength
  }

  write(text: string): void {
    this.#waiting = Buffer.concat([this.#waiting, Buffer.from(text)])
    if (this.#retry === undefined) this.#flush()
  }

  once(_event: 'drain', listener: () => void): void {
    this.#drained.push(listener)
  }

  #flush(): void {
    this.#retry = undefined
    while (this.#waiting.byteLength > 0) {
      const written = this.#attempt()
      if (written === undefined) {
        this.#retry = setTimeout(() => this.#flush(), RETRY_MS).unref()
        return
      }
      this.#waiting = this.#waiting.subarray(written)
    }
    for (const listener of this.#drained.splice(0)) listener()
  }

  /** @returns `undefined` when it has to wait; a terminal that is gone takes everything */
  #attempt(): number | undefined {
    try {
      return this.#write(this.#waiting)
    } catch (thrown) {
      const wait = thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN'
      return wait ? undefined : this.#waiting.byteLength
    }
  }
}

/** `undefined` where the terminal can't be opened anew. */
export function openTerminalSink(): TerminalSink | undefined {
  const path = PATHS[process.platform]
  if (path === undefined) return undefined
  try {
    const descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    return new TerminalSink((bytes) => writeSync(descriptor, bytes))
  } catch {
    return undefined
  }
}
