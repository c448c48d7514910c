import { describe, expect, it } from 'vitest'
import { MemoryProxy, type Origin } from './memory-proxy.js'
import { CLOSES, message, rechunked, STAYS, TO_ORIGIN } from './messages.js'

interface Turn {
  /** What the origin has seen when it answers, since its last answer. */
  readonly sees: string
  readonly says: string
  /** It ends the connection after that. */
  readonly ends?: boolean
}

interface Exchange {
  readonly name: string
  /** All that the client sends, at once. */
  readonly sends: string
  /** What each connection to an origin carries, in the order in which they were dialled. @default none is dialled */
  readonly origins?: Readonly<Record<string, readonly Turn[]>>
  readonly gets: string
  /** What becomes of the client's connection. @default it stays open */
  readonly after?: 'open' | 'ended' | 'reset'
}

const GET = ['GET /x HTTP/1.1', 'Host: a.test', TO_ORIGIN]
const OK = message(['HTTP/1.1 200 OK', 'Content-Length: 2'], 'ok')
const OK_STAYS = message(['HTTP/1.1 200 OK', 'Content-Length: 2', ...STAYS], 'ok')
const OK_CLOSES = message(['HTTP/1.1 200 OK', 'Content-Length: 2', CLOSES], 'ok')

/** A request of a client that is passed on to `a.test:80` and answered with {@link OK}. */
function asked(name: string, sends: string, sees: string): Exchange {
  return { name, sends, origins: { 'a.test:80': [{ sees, says: OK }] }, gets: OK_STAYS }
}

/** An answer to a simple GET. */
function answered(name: string, says: string, gets: string, more: Partial<Exchange & Turn> = {}): Exchange {
  const { ends = false, ...rest } = more
  return {
    name,
    sends: message(['GET http://a.test/x HTTP/1.1', 'Host: a.test']),
    origins: { 'a.test:80': [{ sees: message(GET), says, ends }] },
    gets,
    ...rest,
  }
}

const REQUESTS: readonly Exchange[] = [
  asked('no body', message(['GET http://a.test/x HTTP/1.1', 'Host: a.test']), message(GET)),
  asked('a Host that differs', message(['GET http://a.test/x HTTP/1.1', 'Host: evil.test:81']), message(GET)),
  asked('an empty line before it', `\r\n${message(['GET http://a.test/x HTTP/1.1', 'Host: a.test'])}`, message(GET)),
  asked('an empty Host', message(['GET http://a.test/x HTTP/1.1', 'Host:']), message(GET)),
  asked('port 80, left out of Host', message(['GET http://a.test:80/x HTTP/1.1', 'Host: b']), message(GET)),
  asked('an empty port', message(['GET http://a.test:/x HTTP/1.1', 'Host: b']), message(GET)),
  asked('a scheme in capitals', message(['GET HTTP://a.test/x HTTP/1.1', 'Host: b']), message(GET)),
  asked(
    'an empty path',
    message(['GET http://a.test HTTP/1.1', 'Host: b']),
    message(['GET / HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  asked(
    'an empty path and a query',
    message(['GET http://a.test?q=1 HTTP/1.1', 'Host: b']),
    message(['GET /?q=1 HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  asked(
    'a path that stays as it was written',
    message(['GET http://a.test/a/../%2e//?q=%20&x HTTP/1.1', 'Host: b']),
    message(['GET /a/../%2e//?q=%20&x HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  {
    name: 'a port of its own',
    sends: message(['GET http://a.test:8080/ HTTP/1.1', 'Host: b']),
    origins: {
      'a.test:8080': [{ sees: message(['GET / HTTP/1.1', 'Host: a.test:8080', TO_ORIGIN]), says: OK }],
    },
    gets: OK_STAYS,
  },
  {
    name: 'an IPv6 authority',
    sends: message(['GET http://[2001:db8::1]/ HTTP/1.1', 'Host: b']),
    origins: {
      '[2001:db8::1]:80': [{ sees: message(['GET / HTTP/1.1', 'Host: [2001:db8::1]', TO_ORIGIN]), says: OK }],
    },
    gets: OK_STAYS,
  },
  asked(
    'Content-Length',
    message(['POST http://a.test/x HTTP/1.1', 'Host: b', 'content-length: 3'], 'abc'),
    message(['POST /x HTTP/1.1', 'Host: a.test', 'content-length: 3', TO_ORIGIN], 'abc'),
  ),
  asked(
    'Content-Length: 0',
    message(['POST http://a.test/x HTTP/1.1', 'Host: b', 'Content-Length: 0']),
    message(['POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 0', TO_ORIGIN]),
  ),
  asked(
    'a POST without a body, which gets a length',
    message(['POST http://a.test/x HTTP/1.1', 'Host: b']),
    message(['POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 0', TO_ORIGIN]),
  ),
  asked(
    'a GET with a body',
    message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'Content-Length: 3'], 'abc'),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'Content-Length: 3', TO_ORIGIN], 'abc'),
  ),
  asked(
    'a DELETE without a body',
    message(['DELETE http://a.test/x HTTP/1.1', 'Host: b']),
    message(['DELETE /x HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  asked(
    'chunks with extensions, and trailers',
    message(
      ['PUT http://a.test/x HTTP/1.1', 'Host: b', 'Trailer: X-T', 'Transfer-Encoding: Chunked'],
      '3;a=b\r\nabc\r\n0002\r\nde\r\n0\r\nX-T: 1\r\nCookie: no\r\n\r\n',
    ),
    message(
      ['PUT /x HTTP/1.1', 'Host: a.test', 'Trailer: X-T', 'Transfer-Encoding: chunked', TO_ORIGIN],
      '5\r\nabcde\r\n0\r\nX-T: 1\r\n\r\n',
    ),
  ),
  asked(
    'chunks without a byte',
    message(['POST http://a.test/x HTTP/1.1', 'Host: b', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    message(['POST /x HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', TO_ORIGIN], '0\r\n\r\n'),
  ),
  asked(
    'fields in their order and case, twice where they came twice, and nothing invented',
    message(['GET http://a.test/x HTTP/1.1', 'X-b: 2', 'host: b', 'x-A: 1', 'X-B:  a, b ', 'cookie: a', 'Cookie: b']),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'X-b: 2', 'x-A: 1', 'X-B: a, b', 'cookie: a', 'Cookie: b', TO_ORIGIN]),
  ),
  asked(
    'a value in Latin-1, one that is empty, and one with a tab',
    message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'X-L: \xe4\xff', 'X-E:', 'X-T: a\tb']),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'X-L: \xe4\xff', 'X-E: ', 'X-T: a\tb', TO_ORIGIN]),
  ),
  asked(
    'hop-by-hop fields and those that Connection names',
    message([
      'GET http://a.test/x HTTP/1.1',
      'Host: b',
      'Keep-Alive: 5',
      'TE: gzip',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'Proxy-Authenticate: Basic',
      'Connection: X-Hop ,, x-other',
      'connection: x-third',
      'x-hop: 1',
      'X-OTHER: 2',
      'X-Third: 3',
      'X-Stays: 4',
    ]),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'X-Stays: 4', TO_ORIGIN]),
  ),
  asked(
    'Content-Length and Host, whatever Connection says',
    message(
      ['POST http://a.test/x HTTP/1.1', 'Host: b', 'Content-Length: 3', 'Connection: content-length, host'],
      'abc',
    ),
    message(['POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 3', TO_ORIGIN], 'abc'),
  ),
  asked(
    'a client that takes trailers',
    message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'TE: gzip;q=0.1, Trailers', 'Connection: TE']),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'TE: trailers', 'Connection: TE']),
  ),
  asked(
    'OPTIONS of a server as a whole',
    message(['OPTIONS http://a.test HTTP/1.1', 'Host: b']),
    message(['OPTIONS * HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  asked(
    'OPTIONS of a path',
    message(['OPTIONS http://a.test/ HTTP/1.1', 'Host: b']),
    message(['OPTIONS / HTTP/1.1', 'Host: a.test', TO_ORIGIN]),
  ),
  asked(
    'Max-Forwards of OPTIONS, which counts down',
    message(['OPTIONS http://a.test/x HTTP/1.1', 'Host: b', 'max-forwards: 10']),
    message(['OPTIONS /x HTTP/1.1', 'Host: a.test', 'Max-Forwards: 9', TO_ORIGIN]),
  ),
  asked(
    'Max-Forwards of TRACE, which counts down',
    message(['TRACE http://a.test/x HTTP/1.1', 'Host: b', 'Max-Forwards: 1']),
    message(['TRACE /x HTTP/1.1', 'Host: a.test', 'Max-Forwards: 0', TO_ORIGIN]),
  ),
  asked(
    'Max-Forwards of GET, which means nothing',
    message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'Max-Forwards: 0']),
    message(['GET /x HTTP/1.1', 'Host: a.test', 'Max-Forwards: 0', TO_ORIGIN]),
  ),
  {
    name: 'HTTP/1.0',
    sends: message(['GET http://a.test/x HTTP/1.0']),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'HTTP/1.0 that keeps the connection',
    sends: message(['GET http://a.test/x HTTP/1.0', 'Connection: keep-alive']),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_STAYS,
  },
  {
    name: 'HTTP/1.0 that expects what it has not',
    sends: message(['POST http://a.test/x HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 1'], 'a'),
    origins: {
      'a.test:80': [
        { sees: message(['POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 1', TO_ORIGIN], 'a'), says: OK },
      ],
    },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'an upgrade in HTTP/1.0, which means nothing',
    sends: message(['GET http://a.test/x HTTP/1.0', 'Connection: upgrade', 'Upgrade: websocket']),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'a wish for another protocol that Connection does not name',
    sends: message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'Upgrade: h3']),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'an upgrade to HTTP/2, which is ignored, and a field that Connection names',
    sends: message([
      'GET http://a.test/x HTTP/1.1',
      'Host: b',
      'Connection: Upgrade, X-Hop',
      'Upgrade: h2c',
      'X-Hop: 1',
    ]),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'Connection: close',
    sends: message(['GET http://a.test/x HTTP/1.1', 'Host: b', 'Connection: close']),
    origins: { 'a.test:80': [{ sees: message(GET), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
]

const ANSWERS: readonly Exchange[] = [
  answered(
    'fields in their order and case, twice where they came twice, and nothing invented',
    message(
      [
        'HTTP/1.1 200 Fine \xe4',
        'set-cookie: a',
        'X-b: \xff',
        'Content-length: 2',
        'Set-Cookie: b',
        'vary: a',
        'Vary: b',
      ],
      'ok',
    ),
    message(
      [
        'HTTP/1.1 200 Fine \xe4',
        'set-cookie: a',
        'X-b: \xff',
        'Content-length: 2',
        'Set-Cookie: b',
        'vary: a',
        'Vary: b',
        ...STAYS,
      ],
      'ok',
    ),
  ),
  answered(
    'hop-by-hop fields and those that Connection names',
    message(
      [
        'HTTP/1.1 200 OK',
        'Proxy-Authenticate: Basic',
        'Keep-Alive: timeout=1',
        'Connection: x-hop, Content-Length',
        'X-Hop: 1',
        'Upgrade: h2c',
        'Date: now',
        'Via: 1.1 x',
        'Content-Length: 2',
      ],
      'ok',
    ),
    message(['HTTP/1.1 200 OK', 'Date: now', 'Via: 1.1 x', 'Content-Length: 2', ...STAYS], 'ok'),
  ),
  answered(
    'no body',
    message(['HTTP/1.1 404 Not Found', 'Content-Length: 0']),
    message(['HTTP/1.1 404 Not Found', 'Content-Length: 0', ...STAYS]),
  ),
  answered(
    'chunks with extensions, and trailers',
    message(
      ['HTTP/1.1 200 OK', 'Trailer: X-T', 'Transfer-Encoding: chunked'],
      '2;x=y\r\nok\r\n1\r\n!\r\n0\r\nX-T: 2\r\nSet-Cookie: no\r\n\r\n',
    ),
    message(
      ['HTTP/1.1 200 OK', 'Trailer: X-T', ...STAYS, 'Transfer-Encoding: chunked'],
      '3\r\nok!\r\n0\r\nX-T: 2\r\n\r\n',
    ),
  ),
  answered('204', message(['HTTP/1.1 204 No Content']), message(['HTTP/1.1 204 No Content', ...STAYS])),
  answered(
    '204 with a length, which it cannot have',
    message(['HTTP/1.1 204 No Content', 'Content-Length: 5', 'X-A: 1']),
    message(['HTTP/1.1 204 No Content', 'X-A: 1', ...STAYS]),
  ),
  answered(
    '304',
    message(['HTTP/1.1 304 Not Modified', 'ETag: "a"']),
    message(['HTTP/1.1 304 Not Modified', 'ETag: "a"', ...STAYS]),
  ),
  answered(
    '304 with the length of what it stands for',
    message(['HTTP/1.1 304 Not Modified', 'Content-Length: 50']),
    message(['HTTP/1.1 304 Not Modified', 'Content-Length: 50', ...STAYS]),
  ),
  answered(
    'a body up to the end of the connection',
    message(['HTTP/1.1 200 OK', 'X-A: 1'], 'to the end'),
    message(['HTTP/1.1 200 OK', 'X-A: 1', ...STAYS, 'Transfer-Encoding: chunked'], 'a\r\nto the end\r\n0\r\n\r\n'),
    { ends: true },
  ),
  answered(
    'HTTP/1.0 up to the end of the connection',
    message(['HTTP/1.0 200 OK'], 'to the end'),
    message(['HTTP/1.1 200 OK', ...STAYS, 'Transfer-Encoding: chunked'], 'a\r\nto the end\r\n0\r\n\r\n'),
    { ends: true },
  ),
  answered('HTTP/1.0 with a length', message(['HTTP/1.0 200 OK', 'Content-Length: 2'], 'ok'), OK_STAYS),
  answered(
    'Connection: close, which is for the proxy alone',
    message(['HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 2'], 'ok'),
    OK_STAYS,
  ),
  answered(
    '103 first',
    `${message(['HTTP/1.1 103 Early Hints', 'Link: </a>', 'Connection: x', 'X: 1'])}${OK}`,
    `${message(['HTTP/1.1 103 Early Hints', 'Link: </a>'])}${OK_STAYS}`,
  ),
  answered('100 to a client that does not wait for it', `${message(['HTTP/1.1 100 Continue'])}${OK}`, OK_STAYS),
  answered('103 to HTTP/1.0', `${message(['HTTP/1.1 103 Early Hints', 'Link: </a>'])}${OK}`, OK_CLOSES, {
    sends: message(['GET http://a.test/x HTTP/1.0']),
    after: 'ended',
  }),
  answered(
    'chunks to HTTP/1.0',
    message(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n'),
    message(['HTTP/1.1 200 OK', CLOSES], 'ok'),
    { sends: message(['GET http://a.test/x HTTP/1.0', 'Connection: keep-alive']), after: 'ended' },
  ),
  ...[
    [
      'HEAD with a length',
      ['HTTP/1.1 200 OK', 'Content-Length: 500'],
      ['HTTP/1.1 200 OK', 'Content-Length: 500', ...STAYS],
    ],
    ['HEAD with a coding', ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], ['HTTP/1.1 200 OK', ...STAYS]],
    ['HEAD with neither', ['HTTP/1.1 200 OK', 'X-A: 1'], ['HTTP/1.1 200 OK', 'X-A: 1', ...STAYS]],
  ].map(([name, says, gets]) => ({
    name: name as string,
    sends: message(['HEAD http://a.test/x HTTP/1.1', 'Host: b']),
    origins: {
      'a.test:80': [
        { sees: message(['HEAD /x HTTP/1.1', 'Host: a.test', TO_ORIGIN]), says: message(says as string[]) },
      ],
    },
    gets: message(gets as string[]),
  })),
  {
    ...answered(
      'HEAD with a body, which is no part of it',
      OK,
      message(['HTTP/1.1 200 OK', 'Content-Length: 2', ...STAYS]),
    ),
    sends: message(['HEAD http://a.test/x HTTP/1.1', 'Host: b']),
    origins: { 'a.test:80': [{ sees: message(['HEAD /x HTTP/1.1', 'Host: a.test', TO_ORIGIN]), says: OK }] },
  },
  answered('more than was asked for', `${OK}${message(['HTTP/1.1 200 Evil', 'Content-Length: 0'])}`, OK_STAYS),
]

const to = (host: string, path: string, ...fields: string[]): string =>
  message([`GET http://${host}${path} HTTP/1.1`, 'Host: b', ...fields])
const at = (host: string, path: string): string => message([`GET ${path} HTTP/1.1`, `Host: ${host}`, TO_ORIGIN])
const says = (text: string): string => message(['HTTP/1.1 200 OK', `Content-Length: ${text.length}`], text)
const gets = (text: string): string => message(['HTTP/1.1 200 OK', `Content-Length: ${text.length}`, ...STAYS], text)

const SEQUENCES: readonly Exchange[] = [
  {
    name: 'an empty line between two requests',
    sends: `${to('a.test', '/1')}\r\n${to('a.test', '/2')}`,
    origins: { 'a.test:80': ['1', '2'].map((n) => ({ sees: at('a.test', `/${n}`), says: says(n) })) },
    gets: gets('1') + gets('2'),
  },
  {
    name: 'three requests at once to one origin: one connection, in turn',
    sends: to('a.test', '/1') + to('a.test', '/2') + to('a.test', '/3'),
    origins: {
      'a.test:80': ['1', '2', '3'].map((n) => ({ sees: at('a.test', `/${n}`), says: says(n) })),
    },
    gets: gets('1') + gets('2') + gets('3'),
  },
  {
    name: 'a body between two requests',
    sends:
      to('a.test', '/1') +
      message(['POST http://a.test/2 HTTP/1.1', 'Host: b', 'Content-Length: 3'], 'GET') +
      to('a.test', '/3'),
    origins: {
      'a.test:80': [{ sees: at('a.test', '/1'), says: says('1') }],
      'a.test:80 again': [
        { sees: message(['POST /2 HTTP/1.1', 'Host: a.test', 'Content-Length: 3', TO_ORIGIN], 'GET'), says: says('2') },
        { sees: at('a.test', '/3'), says: says('3') },
      ],
    },
    gets: gets('1') + gets('2') + gets('3'),
  },
  {
    name: 'requests to different origins, each its own connection',
    sends: to('a.test', '/1') + to('b.test', '/2') + to('a.test:81', '/3'),
    origins: {
      'a.test:80': [{ sees: at('a.test', '/1'), says: says('1') }],
      'b.test:80': [{ sees: at('b.test', '/2'), says: says('2') }],
      'a.test:81': [{ sees: at('a.test:81', '/3'), says: says('3') }],
    },
    gets: gets('1') + gets('2') + gets('3'),
  },
  {
    name: 'nothing after Connection: close',
    sends: to('a.test', '/1', 'Connection: close') + to('b.test', '/2'),
    origins: { 'a.test:80': [{ sees: at('a.test', '/1'), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'no CONNECT after Connection: close',
    sends: to('a.test', '/1', 'Connection: close') + message(['CONNECT b.test:443 HTTP/1.1', 'Host: b']),
    origins: { 'a.test:80': [{ sees: at('a.test', '/1'), says: OK }] },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'a CONNECT after a request, and bytes that came with it',
    sends: to('a.test', '/1') + message(['CONNECT b.test:443 HTTP/1.1', 'Host: b'], 'hello'),
    origins: {
      'a.test:80': [{ sees: at('a.test', '/1'), says: OK }],
      'b.test:443': [{ sees: 'hello', says: 'welcome', ends: true }],
    },
    gets: `${OK_STAYS}${message(['HTTP/1.1 200 Connection established'])}welcome`,
    after: 'ended',
  },
  {
    name: 'an upgrade to HTTP/2 after a request',
    sends: to('a.test', '/1') + to('a.test', '/2', 'Connection: Upgrade', 'Upgrade: h2c'),
    origins: {
      'a.test:80': [
        { sees: at('a.test', '/1'), says: OK },
        { sees: at('a.test', '/2'), says: OK },
      ],
    },
    gets: OK_STAYS + OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'a WebSocket after a request, and bytes that came with it',
    sends: `${to('a.test', '/1')}${to('b.test', '/2', 'Connection: Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: k')}frames`,
    origins: {
      'a.test:80': [{ sees: at('a.test', '/1'), says: OK }],
      'b.test:80': [
        {
          sees: message([
            'GET /2 HTTP/1.1',
            'Host: b.test',
            'Sec-WebSocket-Key: k',
            'Connection: Upgrade',
            'Upgrade: WebSocket',
          ]),
          says: `${message(['HTTP/1.1 101 Fine', 'Sec-WebSocket-Accept: a', 'Upgrade: websocket', 'Connection: x-hop, Upgrade', 'X-Hop: 1'])}early`,
        },
        { sees: 'frames', says: 'late', ends: true },
      ],
    },
    gets: `${OK_STAYS}${message(['HTTP/1.1 101 Switching Protocols', 'Sec-WebSocket-Accept: a', 'Connection: Upgrade', 'Upgrade: websocket'])}earlylate`,
    after: 'ended',
  },
  {
    name: 'an upgrade that the origin does not agree to',
    sends: to('a.test', '/1', 'Connection: Upgrade', 'Upgrade: websocket'),
    origins: {
      'a.test:80': [
        { sees: message(['GET /1 HTTP/1.1', 'Host: a.test', 'Connection: Upgrade', 'Upgrade: websocket']), says: OK },
      ],
    },
    gets: OK_CLOSES,
    after: 'ended',
  },
  {
    name: 'a connection that its origin has ended, and one more request',
    sends: to('a.test', '/1') + to('a.test', '/2'),
    origins: {
      'a.test:80': [{ sees: at('a.test', '/1'), says: OK, ends: true }],
      'a.test:80 again': [{ sees: at('a.test', '/2'), says: OK }],
    },
    gets: OK_STAYS + OK_STAYS,
  },
]

/** Plays an origin: a turn as soon as what it has to see has come. */
async function play(origin: Origin, turns: readonly Turn[]): Promise<void> {
  let seen = ''
  for (const { sees, says, ends } of turns) {
    seen += sees
    await origin.until(() => rechunked(origin.latin1) === seen || origin.closed)
    origin.send(says)
    if (ends === true) origin.end()
  }
}

async function run({ sends, origins = {}, gets, after = 'open' }: Exchange, chunkSize?: number): Promise<void> {
  const proxy = new MemoryProxy(chunkSize === undefined ? {} : { chunkSize })
  const scripts = Object.values(origins)
  proxy.onOrigin = (origin) => void play(origin, scripts[proxy.origins.length - 1] ?? [])
  await proxy.send(sends)
  expect(proxy.dialled).toEqual(Object.keys(origins).map((name) => name.replace(' again', '')))
  expect(proxy.origins.map((origin) => rechunked(origin.latin1))).toEqual(
    scripts.map((turns) => turns.map(({ sees }) => sees).join('')),
  )
  expect(rechunked(proxy.answer)).toBe(gets)
  expect(proxy.client.state).toBe(after)
  await proxy.end()
  expect(proxy.finished).toBe(true)
  expect(proxy.clock.pending).toBe(0)
  expect(proxy.origins.map(({ state }) => state)).not.toContain('open')
}

const WAYS: readonly (readonly [string, number | undefined])[] = [
  ['whole', undefined],
  ['in pieces of 7 bytes', 7],
  ['split at every byte', 1],
]

describe.each(WAYS)('a request, %s,', (_, chunkSize) => {
  it.each(REQUESTS)('is passed on with $name', (exchange) => run(exchange, chunkSize))
})

describe.each(WAYS)('an answer, %s,', (_, chunkSize) => {
  it.each(ANSWERS)('is passed on with $name', (exchange) => run(exchange, chunkSize))
})

describe.each(WAYS)('a connection, %s,', (_, chunkSize) => {
  it.each(SEQUENCES)('carries $name', (exchange) => run(exchange, chunkSize))
})
