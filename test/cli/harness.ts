import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientHandle, Library, ServerHandle } from '../../src/cli/library.js'
import { main } from '../../src/cli/main.js'
import type { CliIo } from '../../src/cli/settings/io.js'
import type { LinkSocksError } from '../../src/errors.js'
import type { ClientOptions, ServerOptions } from '../../src/node/options.js'
import type { SocketAddress } from '../../src/ports.js'
import { atEnd } from '../support/at-end.js'

/** A terminal to write to and to send signals from. */
export class FakeIo implements CliIo {
  out = ''
  err = ''
  readonly failures: ((thrown: unknown) => void)[] = []
  readonly listeners = new Set<(signal: string) => void>()
  readonly reloadListeners = new Set<() => void>()
  readonly stdout = { write: (text: string) => (this.out += text) }
  readonly stderr: { write(text: string): unknown; isTTY?: boolean } = { write: (text) => (this.err += text) }

  onSignal(listener: (signal: string) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  onReload(listener: () => void): () => void {
    this.reloadListeners.add(listener)
    return () => this.reloadListeners.delete(listener)
  }

  onFailure(listener: (thrown: unknown) => void): void {
    this.failures.push(listener)
  }

  /** Asks to read files again. */
  hangUp(): void {
    for (const listener of this.reloadListeners) listener()
  }

  signal(name = 'SIGINT'): void {
    for (const listener of this.listeners) listener(name)
  }

  /** Lines of standard error. */
  get lines(): readonly string[] {
    return this.err.split('\n').slice(0, -1)
  }
}

/** How the stand-ins for the library's classes behave. */
export interface Behaviour {
  readonly construct?: () => void
  readonly start?: () => Promise<void>
  readonly close?: () => Promise<void>
  readonly closed?: Promise<LinkSocksError | undefined>
}

/** What main() asked of the library. */
export class FakeLibrary {
  server: ServerOptions | undefined
  client: ClientOptions | undefined
  readonly calls: string[] = []
  readonly library: Library

  constructor(behaviour: Behaviour = {}) {
    const calls = this.calls
    const { start = async () => {}, close = async () => {}, closed = new Promise<undefined>(() => {}) } = behaviour
    const seen = (options: { server?: ServerOptions; client?: ClientOptions }): void => {
      behaviour.construct?.()
      Object.assign(this, options)
    }
    const closing = (): Promise<void> => {
      calls.push('close')
      return close()
    }
    const starting = (): Promise<void> => {
      calls.push('start')
      return start()
    }
    this.library = {
      Server: class implements ServerHandle {
        readonly close = closing
        readonly addresses = ['ws://0.0.0.0:8765']
        async reload(): Promise<void> {
          calls.push('reload')
        }
        constructor(options: ServerOptions) {
          seen({ server: options })
        }
        async listen(): Promise<SocketAddress> {
          await starting()
          return { host: '0.0.0.0', port: 8765 }
        }
      },
      Client: class implements ClientHandle {
        readonly close = closing
        readonly start = starting
        readonly closed = closed
        constructor(options: ClientOptions) {
          seen({ client: options })
        }
      },
    }
  }
}

export interface Run {
  readonly code: number
  readonly io: FakeIo
  readonly fake: FakeLibrary
}

/** Runs a command line that starts something and sends it a signal as soon as it runs; one that fails just ends. */
export async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  behaviour: Behaviour = {},
): Promise<Run> {
  const io = new FakeIo()
  const fake = new FakeLibrary({
    ...behaviour,
    start: async () => {
      await behaviour.start?.()
      setImmediate(() => io.signal())
    },
  })
  const code = await main(argv, env, io, async () => fake.library)
  return { code, io, fake }
}

/** The path of a new file with this content, gone after the test, or the file that asks outside of one. */
export function temporaryFile(content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-'))
  atEnd(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'file')
  writeFileSync(path, content)
  return path
}
