import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { atEnd } from '../support/at-end.js'
import { freePort } from '../support/ports.js'
import { rawHttp } from '../support/raw-http.js'
import { eventually, untilPasses } from '../support/wait.js'
import { isOpen, startClient, startServer, tcpServer } from './library-fixture.js'

const LOOPBACK = '127.0.0.1'
const KEY = 'key of the API'
const LOGIN = { username: 'ada', password: 's3cret-password' }
const basic = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
const RIGHT = basic(LOGIN.username, LOGIN.password)
const WRONG = basic(LOGIN.username, 's3cret-guess')
/** What no line, event or stream may hold, in any spelling that a request has it in. */
const SECRETS = ['s3cret', RIGHT.slice(6), WRONG.slice(6)]

/** A request with a secret wherever there is room for one. */
function asking(url: string, { auth = RIGHT, more = '' } = {}): string {
  const own = 'Authorization: Bearer s3cret-bearer\r\nCookie: s3cret-cookie\r\nReferer: http://x/?secret=s3cret\r\n'
  return `GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${auth}\r\n${own}${more}Connection: close\r\n\r\n`
}

/** All events of a server from now on, as text. */
async function recordEvents(port: number): Promise<() => string> {
  const stop = new AbortController()
  const headers = { 'x-api-key': KEY }
  const { body } = await fetch(`http://${LOOPBACK}:${port}/api/events`, { headers, signal: stop.signal })
  let text = ''
  const reading = (async () => {
    for await (const chunk of body ?? []) text += Buffer.from(chunk).toString()
  })().catch(() => {})
  atEnd(async () => {
    stop.abort()
    await reading
  })
  return () => text
}

it('neither query strings nor credentials of HTTP requests are in a log line, an event or a stream', async () => {
  const [socks, closed] = [await freePort(), await freePort()]
  const tokens = [{ type: 'reverse', token: 'R', port: socks, ...LOGIN }] as const
  const { port, url, log } = await startServer({ tokens, apiKey: KEY, traceMessages: true })
  const events = await recordEvents(port)
  const provider = await startClient({ url, token: 'R', reverse: true, traceMessages: true })
  await eventually('open port', async () => (await isOpen(socks)) || undefined)
  const heard: string[] = []
  const origin = await tcpServer((socket) => socket.on('data', (data) => heard.push(String(data))))

  const open = connect(socks, LOOPBACK, () => open.write(asking(`http://${LOOPBACK}:${origin}/?secret=s3cret`)))
  open.on('error', () => {})
  atEnd(() => void open.destroy())
  await untilPasses(() => expect(heard.join('')).toMatch(/^GET \/\?secret=s3cret HTTP.*s3cret-bearer/s))
  const answer = await fetch(`http://${LOOPBACK}:${port}/api/streams`, { headers: { 'x-api-key': KEY } })
  const streams = await answer.text()
  expect(JSON.parse(streams)).toMatchObject({ streams: [{ inbound: 'http', target: `${LOOPBACK}:${origin}` }] })
  open.resetAndDestroy()

  const refused = [
    [502, asking(`http://${LOOPBACK}:${closed}/path?secret=s3cret`)],
    [407, asking(`http://${LOOPBACK}:${origin}/?secret=s3cret`, { auth: WRONG })],
    [400, asking(`ftp://u:s3cret@${LOOPBACK}:${origin}/?secret=s3cret`)],
    [400, asking(`http://u:s3cret@${LOOPBACK}:${origin}/?secret=s3cret`)],
    [400, asking(`http://u:s3cret@[${LOOPBACK}/?secret=s3cret`)],
    [400, asking(`http://${LOOPBACK}:${origin}/?secret=s3cret`, { more: 'Host: s3cret\r\n' })],
    [400, asking(`http://${LOOPBACK}:${origin}/?secret=s3cret`, { more: 'no field: s3cret\r\n' })],
    [400, asking(`u:s3cret@${LOOPBACK}?secret=s3cret`).replace('GET', 'CONNECT')],
    [404, asking('/nothing?secret=s3cret')],
  ] as const
  for (const [status, request] of refused) {
    const { status: came } = await rawHttp(socks, request)
    expect([request, came]).toEqual([request, status])
  }
  await untilPasses(() => expect(events()).toContain('event: stream.closed'))
  expect(log.of('proxy.failed').length).toBeGreaterThanOrEqual(refused.length - 3)
  const told = [log.text, provider.log.text, events(), streams].join('\n')
  for (const secret of SECRETS) expect(told).not.toContain(secret)
})
