import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { settle } from '../../support/manual-clock.js'
import { MemoryProxy } from './memory-proxy.js'
import { message, rechunked } from './messages.js'

/** Longer than a head may take, a connection may be idle, and a head after that may take. */
const ALL_LIMITS_MS = [10_000, 60_000, 10_000]
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')

/** Words of HTTP, so that what comes is often nearly right. */
const WORDS = [
  'GET ',
  'POST ',
  'CONNECT ',
  'HEAD ',
  'http://a.test/',
  'http://',
  'a.test:80',
  '/',
  '*',
  ' HTTP/1.1\r\n',
  ' HTTP/1.0\r\n',
  ' HTTP/2.0\r\n',
  'Host: a.test\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Connection: upgrade\r\nUpgrade: h2c\r\n',
  'Expect: 100-continue\r\n',
  'Expect: 200-ok\r\n',
  'X: ',
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\r',
  ':',
  ' ',
  '\0',
  '3\r\nabc\r\n',
  '0\r\n\r\n',
  'abc',
  message(['GET http://a.test/ HTTP/1.1', 'Host: a.test']),
  message(['POST http://a.test/ HTTP/1.1', 'Host: a.test', 'Content-Length: 3'], 'abc'),
  message(['GET / HTTP/1.1', 'Host: localhost']),
]

const anyBytes = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const nearlyHttp = fc
  .array(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...WORDS) }, { weight: 1, arbitrary: anyBytes }), {
    maxLength: 14,
  })
  .map((words) => words.join(''))

const NAMES = fc.constantFrom('X-A', 'x-b', 'Cookie', 'Accept', 'Via')
const VALUES = fc.stringMatching(/^[!-~][ -~]{0,8}[!-~]$/)
const FIELDS = fc.array(
  fc.tuple(NAMES, VALUES).map(([name, value]) => `${name}: ${value}`),
  { maxLength: 4 },
)

const noBody = FIELDS.map((fields) => message(['GET http://a.test/x HTTP/1.1', 'Host: b', ...fields]))
const counted = fc
  .tuple(FIELDS, fc.string({ maxLength: 40, unit: 'binary-ascii' }))
  .map(([fields, body]) =>
    message(['PUT http://a.test/y HTTP/1.1', 'Host: b', ...fields, `Content-Length: ${body.length}`], body),
  )
const chunked = fc
  .tuple(
    FIELDS,
    fc.array(fc.string({ minLength: 1, maxLength: 20, unit: 'binary-ascii' }), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([fields, parts, trailer]) => {
    const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
    const head = ['POST http://a.test/z HTTP/1.1', 'Host: b', ...fields, 'Transfer-Encoding: chunked']
    return message(head, `${chunks}0\r\n${trailer ? 'X-T: 1\r\n' : ''}\r\n`)
  })
const REQUESTS = fc.array(fc.oneof(noBody, counted, chunked), { minLength: 1, maxLength: 4 })

/** `text` in pieces that end at the given parts of it. */
function cut(text: string, cuts: readonly number[]): string[] {
  const ends = [...cuts.map((part) => Math.floor(part * text.length)), text.length].sort((a, b) => a - b)
  return ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end))
}

async function feed(proxy: MemoryProxy, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    proxy.client.send(piece)
    await settle()
  }
  await proxy.quiet()
}

const CUTS = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })

describe('any bytes in any pieces', () => {
  it.each([
    ['at random', anyBytes, 300],
    ['nearly HTTP', nearlyHttp, 700],
  ] as const)('neither break the port nor stay for ever: %s', async (_, bytes, numRuns) => {
    await fc.assert(
      fc.asyncProperty(bytes, CUTS, fc.boolean(), async (text, cuts, ends) => {
        const proxy = new MemoryProxy()
        await feed(proxy, cut(text, cuts))
        if (ends) proxy.client.end()
        const heads = text.split(/\r\n\r\n/).length - 1
        expect(proxy.dialled.length).toBeLessThanOrEqual(heads)
        for (const ms of ALL_LIMITS_MS) {
          await proxy.clock.advanceAsync(ms)
          await proxy.quiet()
        }
        if (proxy.dialled.length === 0) expect(proxy.client.state).not.toBe('open')
        await proxy.end()
        expect(proxy.finished).toBe(true)
        expect(proxy.clock.pending).toBe(0)
        expect(proxy.origins.map(({ state }) => state)).not.toContain('open')
      }),
      { numRuns },
    )
  })
})

/** Words of answers. */
const ANSWER_WORDS = [
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 204 No Content\r\n',
  'HTTP/1.1 304 Not Modified\r\n',
  'HTTP/1.1 103 Early Hints\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'X : y\r\n',
  ': y\r\n',
  'X: \x01\r\n',
  '\r\n',
  '\n',
  '\0',
  '3\r\nabc\r\n',
  '0\r\n\r\n',
  '0\r\nX-T: 1\r\n\r\n',
  'abc',
  OK,
]
const nearlyAnswers = fc
  .array(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...ANSWER_WORDS) }, { weight: 1, arbitrary: anyBytes }), {
    maxLength: 10,
  })
  .map((words) => words.join(''))
const ASKED = fc.constantFrom(
  message(['GET http://a.test/ HTTP/1.1', 'Host: a.test']),
  message(['HEAD http://a.test/ HTTP/1.1', 'Host: a.test']),
  message(['GET http://a.test/ HTTP/1.0']),
  message(['PUT http://a.test/ HTTP/1.1', 'Host: a.test', 'Expect: 100-continue', 'Content-Length: 3']),
  message(['GET http://a.test/ HTTP/1.1', 'Host: a.test', 'Connection: upgrade', 'Upgrade: websocket']),
)

describe('any bytes of an origin', () => {
  it('give the client an answer or a reset', async () => {
    await fc.assert(
      fc.asyncProperty(ASKED, nearlyAnswers, CUTS, async (request, text, cuts) => {
        const proxy = new MemoryProxy()
        await proxy.send(request)
        for (const piece of cut(text, cuts)) {
          proxy.origin().send(piece)
          await settle()
        }
        proxy.origin().close()
        await proxy.quiet()
        expect(proxy.answer !== '' || proxy.client.state === 'reset').toBe(true)
        if (proxy.client.state === 'open') expect(proxy.clock.pending + Number(proxy.finished)).toBe(1)
        await proxy.end()
        expect(proxy.finished).toBe(true)
        expect(proxy.clock.pending).toBe(0)
      }),
      { numRuns: 700 },
    )
  })
})

/** What origins and client have seen in the end. */
async function outcome(pieces: readonly string[]) {
  const proxy = new MemoryProxy()
  proxy.onOrigin = (origin) => {
    let answered = 0
    const answer = async (): Promise<void> => {
      for (;;) {
        await origin.until(() => origin.closed || requestsIn(origin.latin1) > answered)
        if (origin.closed) return
        answered += 1
        origin.send(OK)
      }
    }
    void answer()
  }
  await feed(proxy, pieces)
  const seen = proxy.origins.map(({ address, latin1 }) => [address, rechunked(latin1)])
  const result = {
    seen,
    answer: proxy.answer,
    answers: proxy.answer.split(OK.slice(0, 15)).length - 1,
    state: proxy.client.state,
  }
  await proxy.end()
  return result
}

/** How many whole requests are in what an origin has got; each connection carries none after a body that is half there. */
function requestsIn(text: string): number {
  const whole = rechunked(text)
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(whole)?.[1]
  const [head = ''] = whole.split('\r\n\r\n', 1)
  if (!whole.includes('\r\n\r\n')) return 0
  if (length !== undefined) {
    const end = head.length + 4 + Number(length)
    return whole.length < end ? 0 : 1 + requestsIn(whole.slice(end))
  }
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) return 1 + requestsIn(whole.slice(head.length + 4))
  const end = /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(whole)
  return end === null ? 0 : 1 + requestsIn(whole.slice(end.index + end[0].length))
}

describe('valid requests', () => {
  it('come out the same wherever they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(REQUESTS, CUTS, async (requests, cuts) => {
        const text = requests.join('')
        const whole = await outcome([text])
        expect(whole).toMatchObject({ state: 'open', answers: requests.length })
        expect(await outcome(cut(text, cuts))).toEqual(whole)
      }),
      { numRuns: 200 },
    )
  })

  it('come out the same cut in two at every byte', async () => {
    const text = [
      message(['GET http://a.test/1 HTTP/1.1', 'Host: b', 'X: y']),
      message(
        ['PUT http://a.test/2 HTTP/1.1', 'Host: b', 'Transfer-Encoding: chunked'],
        '3;x\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
      ),
      message(['GET http://b.test/3 HTTP/1.1', 'Host: b']),
    ].join('')
    const whole = await outcome([text])
    for (let at = 1; at < text.length; at += 1) {
      expect(await outcome([text.slice(0, at), text.slice(at)])).toEqual(whole)
    }
  })
})
