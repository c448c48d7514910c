import { expect, it } from 'vitest'
import { MODES } from '../support/e2e/modes.js'
import { CONNECT, socksRequest } from '../support/e2e/socks.js'
import { echoTarget } from '../support/e2e/targets.js'
import { eventually } from '../support/wait.js'
import { echoed } from './support/exchanges.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { startMixed } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'
import { ManagedServer } from './support/server-api.js'

const KEY = 'key of the tests'
/** What deployed listeners tell of a refusal: that the host is unreachable, most often. */
const REFUSED = [2, 4]

interface ListedToken {
  readonly id: string
  readonly type: string
}

for (const mode of MODES) {
  describeDeployed(`policies of our server in ${mode} mode`, (deployed) => {
    const casts = mixedCasts(mode).filter(({ server }) => server === 'ours')
    it.concurrent.for(named(casts))('hold for deployed programs: %s', async ([, cast], context) => {
      const scene = ownScene(context)
      const [open, closed] = [await echoTarget(scene), await echoTarget(scene)]
      const { socksPort, serverPort } = await startMixed(scene, deployed, mode, cast, { serverArgs: ['-k', KEY] })
      const server = new ManagedServer(serverPort)
      const { body } = await server.call('GET', '/api/tokens')
      const type = mode === 'forward' ? 'forward' : 'reverse'
      const id = (body.tokens as readonly ListedToken[]).find((token) => token.type === type)?.id ?? ''
      const set = async (policy: object): Promise<void> => {
        expect(await server.call('PATCH', `/api/tokens/${id}`, { policy })).toMatchObject({ status: 200 })
      }
      const rep = async (host: string, port: number): Promise<number> =>
        (await socksRequest(scene, socksPort, CONNECT, [host, port])).rep

      await set({
        egress: [
          { action: 'deny', hosts: ['127.0.0.1'], ports: [closed] },
          { action: 'deny', hosts: ['*.corp.example'] },
        ],
      })
      expect(await echoed(scene, socksPort, ['127.0.0.1', open], 'let through')).toBe('let through')
      expect(REFUSED).toContain(await rep('127.0.0.1', closed))
      expect(REFUSED).toContain(await rep('git.corp.example', open))
      // the addresses of a name: judged by an exit of ours, and refused with one that knows no policies
      await set({ egress: [{ action: 'deny', hosts: ['198.51.100.0/24'] }] })
      const knows = mode === 'forward' || cast.provider === 'ours'
      expect(await rep('localhost', open)).toSatisfy((answer: number) =>
        knows ? answer === 0 : REFUSED.includes(answer),
      )
      await set({ egress: null, max_streams: 0 })
      await eventually('a refusal', async () => REFUSED.includes(await rep('127.0.0.1', open)) || undefined)
      await set({ max_streams: null })
      expect(await echoed(scene, socksPort, ['127.0.0.1', open], 'again')).toBe('again')
    })
  })
}
