import { randomFillSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { contentListener, type Origin, origin } from '../support/programs/origin.js'
import { describeWith, folder, output } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const content = randomFillSync(Buffer.alloc(64 * 1024 * 1024))
const digest = sha256(content)
/** Programs that run at once, one for each way through the port, and the requests that each has open at once. */
const PER_PROGRAM = 50

describeWith(['curl'], 'curl, by every protocol of one port', () => {
  const scene = sceneOfSuite()
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    tunnel = await ProgramTunnel.start(scene, 'forward')
  })
  const WAYS: readonly (readonly [string, (address: string) => readonly string[]])[] = [
    ['HTTP in absolute form', (address) => ['--proxy', `http://${address}`]],
    ['HTTP by CONNECT', (address) => ['--proxy', `http://${address}`, '-p']],
    ['SOCKS4a', (address) => ['--socks4a', address]],
    ['SOCKS5', (address) => ['--socks5-hostname', address]],
  ]
  const curl = (args: readonly string[]): readonly string[] => ['curl', '-sS', ...args]

  describe.each(WAYS.slice(0, 3))('%s', (_name, way) => {
    it('brings 64 MB down', async () => {
      const { port, connections } = await origin(scene, contentListener(content))
      const url = `http://localhost:${port}/`
      expect(sha256(await output(scene, curl([...way(tunnel.address), url])))).toBe(digest)
      await carriedAll([tunnel], [`localhost:${port}`], connections)
    })

    it.each([
      ['with their length', []],
      ['in chunks', ['-H', 'Transfer-Encoding: chunked']],
    ])('brings 64 MB up %s', async (_body, args) => {
      const { port, connections } = await origin(scene, contentListener(content))
      const file = join(folder(scene), 'content')
      writeFileSync(file, content)
      const url = `http://localhost:${port}/post`
      const told = await output(scene, curl([...way(tunnel.address), ...args, '--data-binary', `@${file}`, url]))
      expect(told.toString()).toBe(digest)
      await carriedAll([tunnel], [`localhost:${port}`], connections)
    })
  })

  it(`holds ${WAYS.length * PER_PROGRAM} requests of all protocols at once`, async () => {
    const held = await holdingOrigin(WAYS.length * PER_PROGRAM)
    const parallel = ['-Z', '--parallel-immediate', '--parallel-max', `${PER_PROGRAM}`]
    const url = `http://localhost:${held.port}/[1-${PER_PROGRAM}]`
    const pages = WAYS.map(async ([name, way], at) => {
      const cwd = folder(scene)
      const args = [...way(tunnel.address), ...parallel, '-A', `${at}`, '-o', 'page-#1', url]
      await output(scene, curl(args), { cwd })
      const page = (index: number): string => readFileSync(join(cwd, `page-${index + 1}`), 'utf8')
      return [name, Array.from({ length: PER_PROGRAM }, (_, index) => page(index))]
    })
    const expected = WAYS.map(([name], at) => [
      name,
      Array.from({ length: PER_PROGRAM }, (_, index) => `/${index + 1} of ${at}`),
    ])
    expect(await Promise.all(pages)).toEqual(expected)
    expect(held.connections()).toBe(WAYS.length * PER_PROGRAM)
    await carriedAll([tunnel], [`localhost:${held.port}`], held.connections)
  })

  /** Answers no request before so many have come: fewer at once, and there is no answer at all. */
  function holdingOrigin(requests: number): Promise<Origin> {
    const waiting: [ServerResponse, string][] = []
    return origin(scene, (request, response) => {
      waiting.push([response, `${request.url} of ${request.headers['user-agent']}`])
      if (waiting.length < requests) return
      for (const [held, text] of waiting) held.end(text)
    })
  }
})
