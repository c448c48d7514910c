import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { Redirector } from '../peers/base-redirector.js'
import { BaseServer } from '../peers/base-server.js'

const CA = fileURLToPath(new URL('../../support/tls/ca.pem', import.meta.url))
const TOKEN = 'token of the redirects'
const HASH = sha256(TOKEN)

const scene = sceneOfTest()

const query = (target: string): string => target.slice(target.indexOf('?'))
const client = (url: string, ...args: readonly string[]) =>
  scene.start(['client', '-R', '-t', TOKEN, '-u', url, '-p', '0', '--log-format', 'json', ...args])

describe('a handshake that is redirected', () => {
  it.each([301, 302, 303, 307, 308])('goes on by status %i, to http as to ws, and keeps its form', async (status) => {
    const server = await BaseServer.open(scene)
    const front = await Redirector.open(scene, (target) => [
      status,
      `http://127.0.0.1:${server.port}/elsewhere${query(target)}`,
    ])
    const process = client(`ws://127.0.0.1:${front.port}`)
    await process.event('link.up')
    expect(front.targets).toHaveLength(1)
    expect(server.targets).toEqual([`/elsewhere${query(front.targets[0] ?? '')}`])
    expect(server.targets[0]).toContain(`token=${HASH}`)
    expect(server.links[0]?.received).toEqual([])
  })

  it('goes on to a relative Location, five times', async () => {
    const server = await BaseServer.open(scene)
    const front = await Redirector.open(scene, (target) => {
      const step = Number(/step(\d)/.exec(target)?.[1] ?? 0)
      return step < 4
        ? [302, `step${step + 1}${query(target)}`]
        : [302, `ws://127.0.0.1:${server.port}/socket${query(target)}`]
    })
    await client(`ws://127.0.0.1:${front.port}`).event('link.up')
    expect(front.targets.map((target) => target.split('?')[0])).toEqual([
      '/socket',
      '/step1',
      '/step2',
      '/step3',
      '/step4',
    ])
    expect(server.targets).toHaveLength(1)
  })

  it('gives up after five', async () => {
    const front = await Redirector.open(scene, (target) => [302, `/socket/again${query(target)}`])
    const process = client(`ws://127.0.0.1:${front.port}`)
    expect(await process.end()).toBe(1)
    expect(front.targets).toHaveLength(6)
    expect(process.stderr).toContain('redirected more than 5 times')
  })

  it.each([304, 305, 306, 200])('stops at status %i, Location or not', async (status) => {
    const server = await BaseServer.open(scene)
    const front = await Redirector.open(scene, () => [status, server.url])
    const process = client(`ws://127.0.0.1:${front.port}`)
    expect(await process.end()).toBe(1)
    expect(server.targets).toEqual([])
    expect(process.stderr).toContain(`server answered ${status}`)
  })

  it('does not carry the hash of the token where the Location does not name it', async () => {
    const server = await BaseServer.open(scene, (link) => link.drop())
    const front = await Redirector.open(scene, () => [302, `${server.url}/socket`])
    const process = client(`ws://127.0.0.1:${front.port}`)
    expect(await process.end()).toBe(1)
    expect(server.targets).toEqual(['/socket'])
    expect(server.links[0]?.received).toEqual([])
    expect(process.stderr).not.toContain(HASH)
  })

  it('authenticates in-band where the same host sends it', async () => {
    const server = await BaseServer.open(scene)
    server.redirects.set('/deep', '/deeper').set('/deeper', `${server.url}/deepest`)
    await client(`${server.url}/deep`).event('link.up')
    expect(server.targets).toEqual(['/deepest'])
    expect(server.links[0]?.all('auth').map(({ token }) => token)).toEqual([TOKEN])
  })

  it.each([
    ['with the token to follow in-band', ['--auth-in-band'], 'would get the token'],
    ['with a header of the user', ['--header', 'Cookie: secret'], 'would get the handshake headers'],
  ])('does not go to another host %s', async (_, args, why) => {
    const server = await BaseServer.open(scene)
    const front = await Redirector.open(scene, () => [307, `${server.url}/socket`])
    const process = client(`ws://127.0.0.1:${front.port}`, ...args)
    expect(await process.end()).toBe(1)
    expect(server.targets).toEqual([])
    expect(process.stderr).toContain(why)
  })

  it.each(['ws', 'http'])('does not leave TLS for %s', async (scheme) => {
    const server = await BaseServer.open(scene)
    const front = await Redirector.open(
      scene,
      (target) => [301, `${scheme}://127.0.0.1:${server.port}/socket${query(target)}`],
      true,
    )
    const process = client(`wss://127.0.0.1:${front.port}`, '--ca-file', CA)
    expect(await process.end()).toBe(1)
    expect([front.targets.length, server.targets]).toEqual([1, []])
    expect(process.stderr).toContain('has no TLS')
    expect(process.stderr).not.toContain(HASH)
  })
})
