import { describe, expect, it } from 'vitest'
import { type Scene, sceneOfSuite, sceneOfTest, sha256 } from '../../support/e2e/scene.js'
import { baseClient, knock } from '../peers/base-client.js'
import type { BaseLink } from '../peers/base-link.js'
import { Recorder } from '../peers/base-recorder.js'
import { BaseServer, type Greeting } from '../peers/base-server.js'
import { openTarget, Target } from '../peers/base-sides.js'
import { admitted, auth, data, log, newId, partners, rejected } from '../peers/base-wire.js'

const TOKEN = 'token-of-the-tests'
const HASH = sha256(TOKEN)
const UUID = '[\\da-f]{8}(-[\\da-f]{4}){3}-[\\da-f]{12}'

const scene = sceneOfTest()

/** Our client, without reconnecting: what a server did to it is seen by how it ends. */
const client = (url: string, ...args: readonly string[]) =>
  scene.start(['client', '-R', '-u', url, '-p', '0', '--log-format', 'json', ...args])

const early = (...messages: readonly Buffer[]): Greeting => {
  return (link) => link.send(...messages)
}

describe('our client at a deployed server', () => {
  it.each([
    ['client', 'false'],
    ['provider', 'true'],
  ])('asks as a %s by the URL that deployed clients use', async (command, reverse) => {
    const server = await BaseServer.open(scene)
    const process = scene.start([command, '-u', server.url, '-t', TOKEN, '-p', '0', '--log-format', 'json'])
    await process.event('link.up')
    // ext, policy and resume, which deployed servers pass over, are about extensions
    const policy = reverse === 'true' ? '&policy=1' : ''
    const form = new RegExp(`^/socket\\?ext=1&instance=${UUID}${policy}&resume=1&reverse=${reverse}&token=${HASH}$`)
    expect(server.targets).toEqual([expect.stringMatching(form)])
    expect(server.links[0]?.all('auth')).toEqual([])
  })

  it('sends the token itself, and first, on any other path', async () => {
    const server = await BaseServer.open(scene)
    await client(`${server.url}/other`, '-t', TOKEN).event('link.up')
    expect(server.targets).toEqual(['/other'])
    const [first] = server.links[0]?.received ?? []
    expect([first?.kind, first?.token, first?.reverse]).toEqual(['auth', TOKEN, false])
    const plain = auth(TOKEN, false, first?.id ?? '')
    expect(first?.raw.subarray(0, plain.length)).toEqual(plain)
  })

  it.each([
    ['Partners', [partners(1), admitted()]],
    ['Partners and Log', [log('debug', 'linksocks_server_hello:direct_signaling=1'), partners(0), admitted()]],
    ['both forms of Auth back, and AuthResponse twice', [auth('x', false, newId()), admitted(), admitted()]],
    ['a failure behind the success', [admitted(), rejected('invalid token')]],
  ])('is admitted by one that sends %s', async (_, messages) => {
    const server = await BaseServer.open(scene, early(...messages))
    const process = client(server.url, '-t', TOKEN)
    await process.event('link.up')
    await server.links[0]?.ponged()
    expect(process.events('link.down')).toEqual([])
  })

  it('is admitted by a text frame', async () => {
    const server = await BaseServer.open(scene, (link) => link.sendText(admitted()))
    await client(server.url, '-t', TOKEN).event('link.up')
  })

  it.each<[string, (link: BaseLink) => void]>([
    ['closes without a Close frame', (link) => link.drop()],
    ['does not close', () => {}],
    ['closes in order', (link) => link.close()],
  ])('says why and ends with code 3 when it is refused and the server %s', async (_, close) => {
    const server = await BaseServer.open(scene, (link) => {
      link.send(rejected('invalid token'))
      close(link)
    })
    const process = client(server.url, '-t', TOKEN)
    expect(await process.end()).toBe(3)
    expect(process.stderr).toContain('invalid token')
    await server.links[0]?.closed
  })

  it.each<[string, (target: URL) => string]>([
    ['the URL', ({ pathname, search }) => `wss://relay.test${pathname}${search}`],
    ['token and hash alone', ({ searchParams }) => `${TOKEN} ${HASH} ${searchParams.get('instance')}`],
  ])('shows no secret of a refusal that repeats %s', async (_, repeat) => {
    const server = await BaseServer.open(scene, (link, target) => {
      link.send(rejected(`no such token: ${repeat(target)}`))
    })
    const process = client(server.url, '-t', TOKEN, '-dd')
    expect(await process.end()).toBe(3)
    const instance = new URLSearchParams(server.targets[0]?.split('?')[1]).get('instance') ?? 'none'
    expect(process.stderr).toContain('no such token')
    for (const secret of [HASH, TOKEN, instance]) expect(process.stderr).not.toContain(secret)
  })

  it('is anonymous without a token, and tells the one it is given', async () => {
    const server = await BaseServer.open(scene, early(admitted('assigned-by-the-relay')))
    const process = scene.start(['provider', '-u', server.url, '--log-format', 'json'])
    await process.event('token.assigned', { token: 'assigned-by-the-relay' })
    expect(server.targets[0]).toContain(`reverse=true&token=${sha256('anonymous')}`)
  })

  it('does not tell its own token when the server repeats it', async () => {
    const server = await BaseServer.open(scene, early(admitted(TOKEN)))
    const process = client(server.url, '-t', TOKEN, '-dd')
    await process.event('socks.listening')
    expect(process.stderr + process.stdout).not.toContain(TOKEN)
  })

  it.each<[string, Greeting, RegExp]>([
    ['speaks another major version', (link) => link.sendRaw(Buffer.of(0x11, 2, 1)), /version/],
    ['closes instead of answering', (link) => link.drop(), /clos/],
    ['resets instead of answering', (link) => link.reset(), /ECONNRESET|clos/],
    ['never gets to the point', early(...Array.from({ length: 40 }, () => partners(1))), /does not answer/],
  ])('says what is wrong with one that %s', async (_, greet, said) => {
    const server = await BaseServer.open(scene, greet)
    const process = client(server.url, '-t', TOKEN)
    expect(await process.end()).toBe(1)
    expect(process.stderr).toMatch(said)
  })
})

describe('our server', () => {
  const suite: Scene = sceneOfSuite()
  const start = suite.server(['-t', TOKEN])
  const options = { token: TOKEN, reverse: false }

  it.each(['url', 'in-band', 'both'] as const)(
    'admits a deployed client by the form %s, and as it expects',
    async (form) => {
      const { url } = await start
      const link = await baseClient(scene, url, { ...options, form })
      expect(link.received[0]?.raw.toString('hex')).toBe('010201')
      const target = await Target.open(scene)
      const { app, id } = await openTarget(link, target)
      // no trailer for a peer that showed none
      expect(link.all('connectResponse', id)[0]?.raw.length).toBe(19)
      link.send(data(id, 'hello'))
      await new Recorder(app).until(5)
      app.end('bye')
      expect((await link.next('disconnect', id)).raw.length).toBe(18 + 4)
    },
  )

  it('admits a client whose Auth has the newer minor version', async () => {
    const { url } = await start
    await baseClient(scene, url, { ...options, form: 'in-band', version: 2 })
  })

  it.each([
    ['a token nobody has', { token: 'nobody', reverse: false }, 'invalid token'],
    ['the wrong role', { token: TOKEN, reverse: true }, 'invalid token'],
    ['a hash in place of the token', { token: HASH, reverse: false, form: 'in-band' as const }, 'invalid token'],
  ])('refuses %s as deployed clients understand it', async (_, wrong, error) => {
    const { url } = await start
    const link = await knock(scene, url, wrong)
    const answer = await link.next('authResponse')
    expect(answer.raw).toEqual(rejected(error))
    await link.closed
    expect(link.received).toHaveLength(1)
  })
})
