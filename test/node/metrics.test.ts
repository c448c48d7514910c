import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { dialErrorOf, repOf } from '../../src/protocol/rep.js'
import { type Dashboard, dashboardProblems } from '../deploy/support/dashboard.js'
import { readJson } from '../project/support.js'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { socksProxy } from '../support/proxies.js'
import { eventually, untilPasses } from '../support/wait.js'
import { echoServer, exchange, socksRequest, startClient, startServer, take } from './library-fixture.js'

const KEY = 'key of the metrics'
const LOOPBACK = '127.0.0.1'

/** Values of the samples by name and labels, in the order in which they stand there. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = [...text.matchAll(/^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/gm)]
  return new Map(lines.map(([, name = '', value]) => [name, Number(value)]))
}

/** How many there are of this program: those of Node grow with the kinds of garbage collection that it has seen. */
function ownSamples(text: string): number {
  return [...samplesOf(text).keys()].filter((name) => name.startsWith('linksocks_')).length
}

async function scrape(port: number): Promise<string> {
  const response = await fetch(`http://${LOOPBACK}:${port}/metrics`, { headers: { authorization: `Bearer ${KEY}` } })
  expect(response.status).toBe(200)
  return await response.text()
}

/** A server of which every role is used, streams that are open, and some that failed. */
async function busyServer() {
  const echo = await echoServer()
  const socks = await freePort()
  const login = { username: 'user', password: 'password' }
  const { port, url } = await startServer({
    metricsKey: KEY,
    apiKey: 'key',
    tokens: [
      { type: 'forward', token: 'F', policy: { egress: [{ action: 'deny', hosts: ['192.0.2.1'] }] } },
      { type: 'reverse', token: 'R', port: socks, ...login },
      { type: 'connector', token: 'C', reverseToken: 'R', policy: { quota: { bytes: 4_000, period: 'total' } } },
    ],
  })
  const { client: forward } = await startClient({ url, token: 'F' })
  await startClient({ url, token: 'R', reverse: true })
  const { client: connector } = await startClient({ url, token: 'C' })
  const target = { host: LOOPBACK, port: echo }
  const reverse = await eventually('open port', () =>
    socksRequest(socks, target, { credentials: ['user', 'password'] }).catch(() => undefined),
  )
  const streams = [await forward.dial(LOOPBACK, echo), await connector.dial(LOOPBACK, echo), reverse.socket]
  for (const stream of streams) {
    stream.on('error', () => {})
    atEnd(() => void stream.destroy())
    stream.write('x'.repeat(1_000))
    await take(stream, 1_000)
  }
  return { port, url, echo, socks, forward, connector }
}

/** An HTTP client's tunnel through a proxy port, which it closes at once. */
async function httpTunnel(port: number, path: string): Promise<void> {
  const auth = `Basic ${Buffer.from('user:password').toString('base64')}`
  const asking = request({ host: LOOPBACK, port, path, method: 'CONNECT', headers: { 'proxy-authorization': auth } })
  asking.end()
  const [response, socket] = (await once(asking, 'connect')) as [IncomingMessage, Socket]
  expect(response.statusCode).toBe(200)
  socket.destroy()
}

describe('/metrics of a server with traffic', () => {
  it('tell of everything, with values that fit', async () => {
    const { port, url, echo, socks, forward } = await busyServer()
    expect(await exchange(await forward.dial(LOOPBACK, echo), 'over')).toBe('over')
    await expect(forward.dial(LOOPBACK, await freePort())).rejects.toThrow()
    await expect(forward.dial('192.0.2.1', 1)).rejects.toThrow()
    await socksRequest(socks, { host: LOOPBACK, port: echo }, { credentials: ['user', 'wrong'] })
    await httpTunnel(socks, `${LOOPBACK}:${echo}`)
    await fetch(`http://${LOOPBACK}:${port}/api/status`, { headers: { 'x-api-key': 'wrong' } })
    await expect(startClient({ url, token: 'nobody', reconnect: false })).rejects.toThrow()

    const expected: Readonly<Record<string, number>> = {
      'tokens{type="forward"}': 1,
      'tokens{type="reverse"}': 1,
      'tokens{type="connector"}': 1,
      'sessions{role="forward",state="connected"}': 1,
      'sessions{role="forward",state="suspended"}': 0,
      'sessions{role="provider",state="connected"}': 1,
      'sessions{role="connector",state="connected"}': 1,
      'sessions_opened_total{role="provider"}': 1,
      'sessions_resumed_total{role="provider"}': 0,
      'channels{mode="forward",protocol="tcp",inbound="unknown"}': 1,
      'channels{mode="reverse",protocol="tcp",inbound="socks5"}': 1,
      'channels{mode="agent",protocol="tcp",inbound="unknown"}': 1,
      'channels{mode="agent",protocol="udp",inbound="unknown"}': 0,
      'channels_opened_total{mode="forward",protocol="tcp",inbound="unknown"}': 2,
      'channels_opened_total{mode="reverse",protocol="tcp",inbound="socks5"}': 1,
      'channels_opened_total{mode="agent",protocol="tcp",inbound="unknown"}': 1,
      'channels_opened_total{mode="reverse",protocol="tcp",inbound="http"}': 1,
      'channels_opened_total{mode="reverse",protocol="tcp",inbound="socks4"}': 0,
      'channels_opened_total{mode="reverse",protocol="udp",inbound="socks5"}': 0,
      'dials_total{mode="forward",rep="0"}': 2,
      'dials_total{mode="forward",rep="5"}': 1,
      'dials_total{mode="reverse",rep="0"}': 2,
      'dials_total{mode="agent",rep="0"}': 1,
      'dials_total{mode="forward",rep="2"}': 1,
      'dial_duration_seconds_count{mode="forward"}': 4,
      'policy_refusals_total{reason="egress"}': 1,
      'quotas{state="ok"}': 1,
      'quotas{state="used_up"}': 0,
      quota_used_max_ratio: 0.5,
      'throttled_bytes_total{direction="up"}': 0,
      throttled_datagrams_total: 0,
      'policy_refusals_total{reason="hours"}': 0,
      'authentication_failures_total{kind="token"}': 1,
      'authentication_failures_total{kind="api_key"}': 1,
      'authentication_failures_total{kind="socks"}': 1,
      alarms: 0,
      event_streams: 0,
    }
    // the server may hear of the last streams' end later than their client
    const samples = await untilPasses(async () => {
      const scraped = samplesOf(await scrape(port))
      for (const [name, value] of Object.entries(expected)) {
        expect([name, scraped.get(`linksocks_${name}`)]).toEqual([name, value])
      }
      return scraped
    })
    for (const role of ['forward', 'provider', 'connector']) {
      for (const name of ['received_bytes_total', 'sent_bytes_total']) {
        const bytes = samples.get(`linksocks_${name}{role="${role}"}`)
        expect([name, role, bytes]).toEqual([name, role, expect.any(Number)])
        expect(bytes).toBeGreaterThan(500)
        expect(bytes).toBeLessThan(10_000)
      }
    }
    for (const kind of ['spliced', 'received', 'replay'])
      expect(samples.get(`linksocks_queue_bytes{kind="${kind}"}`)).toBeGreaterThanOrEqual(0)
    expect(samples.get('linksocks_dial_duration_seconds_sum{mode="forward"}')).toBeLessThan(30)
    const delays = async () =>
      samplesOf(await scrape(port)).get('linksocks_event_loop_delay_seconds_count') || undefined
    await eventually('measured delay', delays)
  })

  it('are what the dashboard asks for', async () => {
    const { port } = await busyServer()
    const dashboard = await readJson<Dashboard>('deploy/grafana-dashboard.json')
    expect(dashboardProblems(dashboard, await scrape(port))).toEqual([])
  })

  it('follow what goes', async () => {
    const { port, connector } = await busyServer()
    await connector.close()
    const gone = async () => {
      const samples = samplesOf(await scrape(port))
      const left = samples.get('linksocks_channels{mode="agent",protocol="tcp",inbound="unknown"}')
      return left === 0 ? samples : undefined
    }
    const samples = await eventually('end of the streams', gone)
    expect(samples.get('linksocks_sessions{role="connector",state="connected"}')).toBe(0)
    expect(samples.get('linksocks_channels{mode="forward",protocol="tcp",inbound="unknown"}')).toBe(1)
    // what has been is not forgotten with whom it was of
    expect(samples.get('linksocks_sent_bytes_total{role="connector"}')).toBeGreaterThan(500)
    expect(samples.get('linksocks_channels_opened_total{mode="agent",protocol="tcp",inbound="unknown"}')).toBe(1)
  })
})

describe('labels of /metrics', () => {
  it('have no value that somebody outside has made', async () => {
    const { port, url, forward } = await busyServer()
    const before = ownSamples(await scrape(port))
    const dials: Promise<unknown>[] = []
    for (const name of ['evil"} 1', 'a\nb', 'x'.repeat(255)]) {
      await expect(startClient({ url, token: name, reconnect: false })).rejects.toThrow()
      const headers = { 'x-api-key': 'evil', 'x-forwarded-for': 'evil', 'user-agent': 'evil' }
      await fetch(`http://${LOOPBACK}:${port}/api/${encodeURIComponent(name)}`, { method: 'PUT', headers })
      dials.push(forward.dial(`evil-${name.length}.invalid`, 1).catch(() => {}))
    }
    await Promise.all(dials)
    const text = await scrape(port)
    expect(text).not.toMatch(/evil|xxx/)
    // one result of dials more, at most
    expect(ownSamples(text) - before).toBeLessThanOrEqual(1)
  })

  it('know the results of RFC 1928 alone, whatever a peer answers', async () => {
    const proxy = await socksProxy({ targetPort: 1, rep: 99 })
    atEnd(() => proxy.close())
    const exitProxy = `socks5://${LOOPBACK}:${proxy.port}`
    const tokens = [{ type: 'forward', token: 'F' }] as const
    const { port, url } = await startServer({ metricsKey: KEY, tokens, exitProxy })
    const { client } = await startClient({ url, token: 'F' })
    await expect(client.dial('example.com', 80)).rejects.toThrow()
    const dials = [...samplesOf(await scrape(port)).keys()].filter((name) => name.startsWith('linksocks_dials_total'))
    expect(dials).toEqual(['linksocks_dials_total{mode="forward",rep="1"}'])
    const reps = Array.from({ length: 256 }, (_, rep) => repOf(dialErrorOf(rep, 'text of the peer')))
    expect([...new Set(reps)].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })
})

describe('--metrics-listen', () => {
  it('serves the metrics without a key at an address of its own, and nothing else', async () => {
    const own = await freePort()
    const { port } = await startServer({ metricsListen: { host: LOOPBACK, port: own } })
    const response = await fetch(`http://${LOOPBACK}:${own}/metrics`)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(samplesOf(await response.text()).get('linksocks_tokens{type="forward"}')).toBe(0)
    const statusOf = async (path: string, method = 'GET') =>
      (await fetch(`http://${LOOPBACK}:${own}${path}`, { method })).status
    for (const path of ['/', '/api/status', '/healthz', '/metrics/', '/socket']) expect(await statusOf(path)).toBe(404)
    expect([await statusOf('/metrics', 'HEAD'), await statusOf('/metrics', 'POST')]).toEqual([200, 405])
    expect((await fetch(`http://${LOOPBACK}:${port}/metrics`)).status).toBe(404)
  })
})
