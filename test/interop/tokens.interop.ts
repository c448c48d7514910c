import { expect, it, type TestContext } from 'vitest'
import { type Scene, sha256 } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually, untilPasses } from '../support/wait.js'
import { CLIENT_FLAGS, type Deployed } from './support/deployed.js'
import { echoAttempts, echoed } from './support/exchanges.js'
import { describeDeployed } from './support/mixed.js'
import { type Player, type Side, startClient, startPeer, startServer } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'
import { ManagedServer } from './support/server-api.js'

/** A stream that hangs for so long is none. */
const HANGS_MS = 3_000
const WRONG = 'not the right token'

/** Role, its server's flags, and a client's flags that must not be let in: a wrong token, or one of another role. */
const REFUSED = [
  ['a forward client with a wrong token', ['-t', 'F'], ['-t', WRONG]],
  ['a provider with a wrong token', ['-r', '-t', 'P'], ['-r', '-t', WRONG]],
  ['a connector with a wrong token', ['-r', '-t', 'P', '-c', 'C'], ['-t', WRONG]],
  ['a provider with a forward token', ['-t', 'F'], ['-r', '-t', 'F']],
  ['a forward client with a reverse token', ['-r', '-t', 'P'], ['-t', 'P']],
  ['a provider with a connector token', ['-r', '-t', 'P', '-c', 'C'], ['-r', '-t', 'C']],
] as const
/** Forms of authentication: in the URL, and in-band. */
const PATHS = ['', '/socket/x'] as const
const CASES = REFUSED.flatMap(([who, server, client]) =>
  PATHS.map((path) => [`${who}${path === '' ? '' : ', in-band'}`, server, client, path] as const),
)

const reversePort = async (args: readonly string[]): Promise<readonly string[]> =>
  args.includes('-r') ? [...args, '-p', `${await freePort()}`] : args

describeDeployed('what is not let in', (deployed) => {
  it.concurrent.for(CASES)('ends their client at our server: %s', async ([, serverArgs, args, path], context) => {
    const scene = ownScene(context)
    const server = await scene.server(await reversePort(serverArgs))
    const flags = [...CLIENT_FLAGS, '-p', `${await freePort()}`, '-u', `${server.url}${path}`, ...args]
    const client = startPeer(scene, [...deployed.command, 'client', ...flags])
    await client.says('invalid token')
    expect(await client.end()).toBe(1)
    await server.process.event('link.rejected', { code: 'ERR_AUTH_REJECTED', reason: 'invalid token' })
    expect(server.process.stderr).not.toContain(WRONG)
    expect(server.process.stderr).not.toContain(sha256(WRONG))
  })

  it.concurrent.for(CASES)(
    'ends ours with exit code 3 at their server: %s',
    async ([, serverArgs, args, path], context) => {
      const scene = ownScene(context)
      const { serverPort } = await startServer(scene, deployed, 'theirs', await reversePort(serverArgs))
      const client = scene.start(['client', '-u', `ws://127.0.0.1:${serverPort}${path}`, ...args])
      expect(await client.end()).toBe(3)
      expect(client.stderr).toBe('linksocks: --token: the server refused the token: invalid token\n')
    },
  )
})

/** A server, clients of the other side, and a token of theirs. */
interface Managed {
  readonly scene: Scene
  readonly server: ManagedServer
  /** Starts the clients that use the token itself. */
  readonly start: () => Promise<readonly Player[]>
  readonly add: () => Promise<unknown>
  readonly token: string
  readonly socksPort: number
}

/** Takes the token away under a stream. @returns the clients, and whether the service works */
async function withoutToken({ scene, server, start, add, token, socksPort }: Managed) {
  await add()
  const clients = await start()
  const target = ['127.0.0.1', await echoTarget(scene)] as const
  const attempts = () => echoAttempts(scene, socksPort, target, 'works')
  await eventually('stream', attempts())
  const cut = errorOf(await socksConnect(scene, socksPort, target))
  expect(await server.remove(token)).toMatchObject({ status: 200, body: { success: true, token } })
  expect(await server.token(token)).toBeUndefined()
  const fails = () =>
    echoed(scene, socksPort, target, 'works', { limitMs: HANGS_MS }).then(
      () => undefined,
      () => true,
    )
  await eventually('end of the service', fails)
  return { clients, attempts, cut }
}

/** What hangs on a forward token, a connector token, and a reverse token with its connector token. */
const TOKENS = ['F', 'C', 'P'] as const

async function managed(scene: Scene, deployed: Deployed, at: Side, token: string): Promise<Managed> {
  const client: Side = at === 'ours' ? 'theirs' : 'ours'
  const server = await ManagedServer.start(scene, deployed, at)
  const [port, socksPort] = [await freePort(), await freePort()]
  const startOf = (args: readonly string[]) => startClient(scene, deployed, client, ['-u', server.url, ...args])
  const provider = () => startOf(['-r', '-t', 'P'])
  const listener = (of: string) => startOf(['-t', of, '-p', `${socksPort}`])
  const addReverse = () => server.add({ type: 'reverse', token: 'P', port })
  const addConnector = () => server.add({ type: 'connector', token: 'C', reverse_token: 'P' })
  const base = { scene, server, token, socksPort }
  if (token === 'F') {
    return { ...base, start: async () => [await listener('F')], add: () => server.add({ type: 'forward', token }) }
  }
  if (token === 'P') {
    const add = async () => [await addReverse(), await addConnector()]
    return { ...base, start: async () => [await provider(), await listener('C')], add }
  }
  await addReverse()
  await provider()
  return { ...base, start: async () => [await listener('C')], add: addConnector }
}

describeDeployed('a token that is removed by the API and added again', (deployed) => {
  it.concurrent.for(TOKENS)('cuts ours off at their server, and has it back by itself: %s', async (token, context) => {
    const tunnel = await managed(ownScene(context), deployed, 'theirs', token)
    const { attempts, cut } = await withoutToken(tunnel)
    expect(await cut).toMatchObject({ code: 'ECONNRESET' })
    await tunnel.add()
    expect(await eventually('stream after the token is back', attempts())).toBe('works')
  })

  // a deployed client gives up for good when it is refused, also where it was admitted before, but does not end
  it.concurrent.for(TOKENS)('silences theirs at our server until it is started again: %s', async (token, context) => {
    const tunnel = await managed(ownScene(context), deployed, 'ours', token)
    const { clients, attempts } = await withoutToken(tunnel)
    for (const client of clients) {
      await eventually('refusal', () => client.tail.includes('Authentication failed') || undefined)
      await client.end('SIGKILL')
    }
    await tunnel.add()
    await tunnel.start()
    expect(await eventually('stream after the token is back', attempts())).toBe('works')
  })
})

describeDeployed('the HTTP API of their server and ours', (deployed) => {
  const both = async (context: TestContext) => {
    const scene = ownScene(context)
    const start = async (at: Side) => {
      const server = await ManagedServer.start(scene, deployed, at)
      await server.add({ type: 'forward', token: 'F' })
      await server.add({ type: 'reverse', token: 'P', port: await freePort() })
      await server.add({ type: 'connector', token: 'C', reverse_token: 'P' })
      await startClient(scene, deployed, 'ours', ['-u', server.url, '-r', '-t', 'P'])
      return server
    }
    return { ours: await start('ours'), theirs: await start('theirs') }
  }

  it.concurrent('answer alike what a script reads', async (context) => {
    const { ours, theirs } = await both(context)
    for (const name of ['F', 'P']) {
      const mine = await ours.token(name)
      const other = { port: undefined, clients_count: undefined }
      // ours adds fields and renames none
      expect({ ...mine, ...other }).toMatchObject({ ...(await theirs.token(name)), ...other })
      expect(mine).toMatchObject({ token: name, clients_count: name === 'P' ? 1 : 0 })
    }
    for (const server of [ours, theirs]) {
      expect(await server.call('GET', '/api/status', undefined, 'wrong key')).toEqual({
        status: 401,
        body: { success: false, error: 'invalid API key' },
      })
      expect(await server.add({ type: 'forward', token: 'G' })).toEqual({
        status: 200,
        body: { success: true, token: 'G' },
      })
      expect(await server.remove('G')).toEqual({ status: 200, body: { success: true, token: 'G' } })
      expect((await server.call('GET', '/')).body.text).toMatch(
        /^LinkSocks v?\d+\.\d+\.\d+ is running\. API endpoints available at \/api\/\*\s*$/,
      )
    }
  })

  it.concurrent('differ where theirs is wrong or vague', async (context) => {
    const { ours, theirs } = await both(context)
    expect([(await ours.remove('nobody')).status, (await theirs.remove('nobody')).status]).toEqual([404, 200])
    const autonomy = { type: 'reverse', token: 'A', allow_manage_connector: true }
    expect((await ours.add(autonomy)).body).toEqual({ success: true, token: 'A' })
    expect((await theirs.add(autonomy)).body).toEqual({ success: true, token: 'A', port: -1 })
    expect(await ours.token('A')).toEqual({ token: 'A', type: 'reverse', clients_count: 0, connector_tokens: [] })
    expect(await theirs.token('A')).toEqual({ token: 'A', type: 'reverse', clients_count: 0, port: -1 })
    // the provider is not a client of the idle forward token
    await untilPasses(async () => expect(await theirs.token('F')).toMatchObject({ clients_count: 1 }))
    expect(await ours.token('F')).toMatchObject({ clients_count: 0 })
  })
})
