import { garbage } from '../../support/e2e/garbage.js'
import { clientFrame } from '../../support/ws-pair.js'
import { between } from './random.js'

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

type Random = () => number

/** What is sent to a port, by kind of nonsense. */
export type Parts = Readonly<Record<string, (random: Random) => readonly (string | Uint8Array)[]>>

function bytes(random: Random, most: number): Buffer {
  return garbage(between(random, 1, 1_000_000), between(random, 1, most))
}

/** `text` with one character replaced. */
function spoilt(random: Random, text: string): string {
  const at = between(random, 0, text.length - 1)
  return text.slice(0, at) + String.fromCharCode(between(random, 0, 255)) + text.slice(at + 1)
}

/** An Auth of the right form, whose token nobody has, or cut somewhere. */
function auth(random: Random): Buffer {
  const token = bytes(random, 200)
  const whole = Buffer.concat([
    Buffer.of(1, 1, token.length),
    token,
    Buffer.of(between(random, 0, 2)),
    bytes(random, 40),
  ])
  return random() < 0.5 ? whole : whole.subarray(0, between(random, 0, whole.length))
}

export const HTTP_PARTS: Parts = {
  'random bytes': (random) => [bytes(random, 4_000)],
  'half a request': (random) => [UPGRADE.slice(0, between(random, 1, UPGRADE.length - 1))],
  'a broken upgrade': (random) => [spoilt(random, UPGRADE), bytes(random, 100)],
  'wrong frames': (random) => [UPGRADE, bytes(random, 2_000)],
  'a frame that is too long': (random) => [
    UPGRADE,
    Buffer.of(0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0),
    bytes(random, 2_000),
  ],
  'an oversized header': (random) => ['GET / HTTP/1.1\r\nX: ', 'x'.repeat(between(random, 20_000, 60_000)), '\r\n\r\n'],
  'a random Auth message': (random) => [UPGRADE, clientFrame(2, auth(random))],
  'a request for nothing': (random) => [`PUT /${bytes(random, 20).toString('hex')} HTTP/1.1\r\nHost: a\r\n\r\n`],
}

export const SOCKS_PARTS: Parts = {
  'random bytes': (random) => [bytes(random, 2_000)],
  'a greeting with random methods': (random) => [Buffer.of(5), bytes(random, 300)],
  'a random request': (random) => [Buffer.of(5, 1, 0, 5), bytes(random, 300)],
  'half a request': (random) => [Buffer.of(5, 1, 0, 5, 1, 0, 3, 20).subarray(0, between(random, 1, 8))],
  'credentials nobody asked for': (random) => [Buffer.of(5, 1, 2, 1), bytes(random, 300)],
  'an association of nobody': (random) => [Buffer.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0), bytes(random, 50)],
  SOCKS4: (random) => [Buffer.of(4, 1), bytes(random, 100)],
  HTTP: (random) => [`CONNECT ${bytes(random, 20).toString('hex')}:1 HTTP/1.1\r\n\r\n`],
}
