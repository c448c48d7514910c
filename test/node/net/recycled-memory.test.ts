import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ClientOptions, ServerOptions } from '../../../src/node/options.js'
import { KIB } from '../../../src/protocol/limits.js'
import { freePort } from '../../support/ports.js'
import { untilPasses } from '../../support/wait.js'
import { isOpen, startClient, startServer } from '../library-fixture.js'
import { checkingTarget, checkStream, type Exchange, haltingLine } from './checked-streams.js'
import { type Poisoned, poisonGivenMemory } from './poisoned-memory.js'

vi.setConfig({ testTimeout: 40_000 })

let poisoned: Poisoned

beforeEach(() => {
  poisoned = poisonGivenMemory()
})

// before the ends of the sessions, which come in the fixture's afterEach
afterEach(() => {
  expect(poisoned.spoiled).toEqual([])
  vi.restoreAllMocks()
})

interface Line {
  /** Through which port the client reaches the server. @default its own */
  readonly via?: (port: number) => Promise<number>
  /** Both speak TLS. @default false */
  readonly tls?: boolean
}

const tlsFile = (name: string): string => fileURLToPath(new URL(`../../support/tls/${name}`, import.meta.url))
const CERTIFICATES = [{ certFile: tlsFile('server.pem'), keyFile: tlsFile('server.key') }]

/** A server at the end of a line. @returns what its clients are told of it */
async function serverAt({ via, tls = false }: Line, tokens: ServerOptions['tokens']): Promise<ClientOptions> {
  const { port } = await startServer({ tokens, ...(tls && { tls: { certificates: CERTIFICATES } }) })
  const url = `${tls ? 'wss' : 'ws'}://127.0.0.1:${(await via?.(port)) ?? port}`
  return { url, ...(tls && { tls: { ca: readFileSync(tlsFile('ca.pem'), 'utf8') } }) }
}

/** A whole tunnel in this process. @returns its SOCKS port */
const MODES: Readonly<Record<string, (line: Line) => Promise<number>>> = {
  async forward(line) {
    const server = await serverAt(line, [{ type: 'forward', token: 'secret' }])
    return socksOf({ ...server, token: 'secret' })
  },
  async reverse(line) {
    const socksPort = await freePort()
    const server = await serverAt(line, [{ type: 'reverse', token: 'secret', port: socksPort }])
    await startClient({ ...server, token: 'secret', reverse: true })
    await untilPasses(async () => expect(await isOpen(socksPort)).toBe(true))
    return socksPort
  },
  async agent(line) {
    const server = await serverAt(line, [
      { type: 'reverse', token: 'provider' },
      { type: 'connector', token: 'connector', reverseToken: 'provider' },
    ])
    await startClient({ ...server, token: 'provider', reverse: true })
    return socksOf({ ...server, token: 'connector' })
  },
}

async function socksOf(options: ClientOptions): Promise<number> {
  const { client } = await startClient({ ...options, socks: { port: 0 } })
  return client.socksAddress?.port ?? 0
}

/** Streams at once through one tunnel. @returns what was wrong with them */
async function run(socksPort: number, count: number, change: (i: number) => Partial<Exchange>): Promise<string[]> {
  const targetPort = await checkingTarget()
  const streams = Array.from({ length: count }, (_, i) =>
    checkStream({ socksPort, targetPort, seed: 1_000 * i, upBytes: 200 * KIB, downBytes: 400 * KIB, ...change(i) }),
  )
  return (await Promise.all(streams)).filter((wrong) => wrong !== undefined)
}

const WAYS: readonly (readonly [mode: string, tls?: boolean])[] = [['forward'], ['reverse'], ['agent'], ['agent', true]]

describe.each(WAYS.map(([mode, tls]) => ({ mode, tls, name: `${mode} mode${tls ? ' over TLS' : ''}` })))(
  'memory that is used again, $name',
  ({ mode, tls }) => {
    const open = (line: Line = {}): Promise<number> =>
      MODES[mode]?.({ ...line, ...(tls && { tls }) }) ?? Promise.reject(new Error(mode))

    it('keeps streams apart and whole, to fast readers and slow ones', async () => {
      expect(await run(await open(), 12, (i) => ({ slow: i % 3 === 0 }))).toEqual([])
      expect(poisoned.given).toBeGreaterThan(100)
    })

    it('keeps them whole over a line that stands still now and then', async () => {
      expect(await run(await open({ via: haltingLine }), 16, () => ({}))).toEqual([])
      expect(poisoned.given).toBeGreaterThan(100)
    })

    it('keeps them whole while others are reset in the middle', async () => {
      const change = (i: number): Partial<Exchange> =>
        i % 2 === 0 ? { abortAfter: 1 + i * 20_000 } : { slow: i % 3 === 0 }
      expect(await run(await open({ via: haltingLine }), 16, change)).toEqual([])
    })
  },
)
