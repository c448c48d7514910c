import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { openServerSocket, type TlsOptions } from '../../../src/node/connect/server-socket.js'
import { connectWebSocket } from '../../../src/node/connect/ws-connect.js'
import { keyPin } from '../../../src/node/tls/key-pins.js'
import { atEnd } from '../../support/at-end.js'
import { selfSigned } from '../../support/certificates.js'
import { countListeners } from '../../support/count-listeners.js'
import { until } from '../../support/wait.js'

const NAME = 'localhost'
const WRONG_PIN = Buffer.alloc(32, 1).toString('base64')
const TOKEN = 'ab'.repeat(32)

/** A TLS server with a certificate that signs itself, and what it hears from clients. */
async function setUp(options: ServerOptions = {}) {
  const { cert, key } = await selfSigned(NAME)
  const heard: Buffer[] = []
  const shown: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ cert, key, ...options }, (socket: TLSSocket) => {
    shown.push(socket.authorized ? (socket.getPeerX509Certificate()?.subject ?? '') : 'nobody')
    socket.on('data', (bytes: Buffer) => void heard.push(bytes))
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const url = `wss://${NAME}:${(server.address() as AddressInfo).port}/socket`
  const open = async (tls: TlsOptions, signal?: AbortSignal): Promise<TLSSocket> => {
    const socket = (await openServerSocket(url, { tls }, signal)) as TLSSocket
    atEnd(() => void socket.destroy())
    return socket
  }
  return { ca: cert, pin: keyPin(new X509Certificate(cert)), url, heard, shown, sockets, open }
}

describe('openServerSocket() with pins', () => {
  it.each<[string, (pin: string) => TlsOptions['pinSha256']]>([
    ['the right one', (pin) => [pin]],
    ['the right one in hex', (pin) => [Buffer.from(pin, 'base64').toString('hex')]],
    ['the right one among others', (pin) => [WRONG_PIN, pin]],
    ['none', () => []],
  ])('connects with %s, to a certificate that is trusted', async (_what, pins) => {
    const { ca, pin, open } = await setUp()
    expect((await open({ ca, pinSha256: pins(pin) })).authorized).toBe(true)
  })

  it('connects with the right one in place of a trusted certificate, if that is wanted', async () => {
    const { pin, open } = await setUp()
    const socket = await open({ insecure: true, pinSha256: [pin] })
    expect([socket.authorized, socket.destroyed]).toEqual([false, false])
  })

  it('needs a trusted certificate besides the right pin', async () => {
    const { pin, open, heard } = await setUp()
    const message = expect.stringContaining('the certificate is not trusted')
    await expect(open({ pinSha256: [pin] })).rejects.toMatchObject({ code: 'ERR_CONNECT', message })
    expect(heard).toEqual([])
  })

  it('needs a certificate for the name besides the right pin', async () => {
    const { ca, pin, open } = await setUp()
    const tls = { ca, pinSha256: [pin], serverName: 'other.test' }
    await expect(open(tls)).rejects.toThrow('the certificate is for another name')
  })

  it.each([true, false])('refuses a server with another key and says which it has (insecure: %s)', async (insecure) => {
    const { ca, pin, open, heard, sockets } = await setUp()
    const message = expect.stringMatching(
      /^TLS with localhost:\d+ failed: the server's key is none of those that are pinned: its SHA-256 is /,
    )
    const refused = await open({ ca, insecure, pinSha256: [WRONG_PIN] }).catch((thrown: unknown) => thrown)
    expect(refused).toMatchObject({ code: 'ERR_CONNECT', message })
    expect(String(refused)).toContain(pin)
    await until(() => sockets.size === 0)
    expect(heard).toEqual([])
  })

  it('sends nothing of the token before the key was judged', async () => {
    const { ca, url, heard, sockets, pin } = await setUp()
    const request = { url: `${url}?token=${TOKEN}`, secretInBand: false }
    await expect(connectWebSocket({ ...request, tls: { ca, pinSha256: [WRONG_PIN] } }, {})).rejects.toThrow('pinned')
    await until(() => sockets.size === 0)
    expect(heard).toEqual([])
    // it would have heard of it
    const controller = new AbortController()
    const connecting = connectWebSocket({ ...request, tls: { ca, pinSha256: [pin] } }, { signal: controller.signal })
    connecting.catch(() => {})
    await until(() => Buffer.concat(heard).includes(TOKEN))
    controller.abort()
    await expect(connecting).rejects.toThrow()
  })

  it('judges each connection anew', async () => {
    const { ca, pin, open } = await setUp()
    const tls = { ca, pinSha256: [pin] }
    for (let times = 0; times < 3; times += 1) expect((await open(tls)).authorized).toBe(true)
    await expect(open({ ca, pinSha256: [WRONG_PIN] })).rejects.toThrow('pinned')
  })

  it('leaves no listener behind, whatever became of it', async () => {
    const { ca, pin, open } = await setUp()
    const { signal } = new AbortController()
    const listeners = countListeners(signal)
    await open({ ca, pinSha256: [pin] }, signal)
    await expect(open({ ca, pinSha256: [WRONG_PIN] }, signal)).rejects.toThrow('pinned')
    await expect(open({}, signal)).rejects.toThrow('not trusted')
    expect(listeners()).toBe(0)
  })
})

describe('openServerSocket() with a certificate of the client', () => {
  it('shows it to a server that asks for one', async () => {
    const client = await selfSigned('client.test')
    const { ca, open, shown, heard } = await setUp({ requestCert: true, ca: client.cert })
    const socket = await open({ ca, ...client })
    socket.write('hello')
    await until(() => Buffer.concat(heard).toString() === 'hello')
    expect(shown).toEqual(['CN=client.test'])
  })

  it('shows it each time that it connects, and that of no other client', async () => {
    const [one, two] = [await selfSigned('one.test'), await selfSigned('two.test')]
    const { ca, open, shown } = await setUp({ requestCert: true, ca: [one.cert, two.cert] })
    const [first, second] = [
      { ca, ...one },
      { ca, ...two },
    ]
    for (const [index, tls] of [first, second, first].entries()) {
      await open(tls)
      await until(() => shown.length === index + 1)
    }
    expect(shown).toEqual(['CN=one.test', 'CN=two.test', 'CN=one.test'])
  })

  it('shows it with insecure and a pin, too', async () => {
    const client = await selfSigned('client.test')
    const { open, shown, pin } = await setUp({ requestCert: true, ca: client.cert })
    await open({ insecure: true, pinSha256: [pin], ...client })
    await until(() => shown.length === 1)
    expect(shown).toEqual(['CN=client.test'])
  })

  it('shows it without an authority of its own: the server is judged by what the system trusts', async () => {
    const client = await selfSigned('client.test')
    const { open } = await setUp({ requestCert: true, ca: client.cert })
    await expect(open(client)).rejects.toThrow('the certificate is not trusted')
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is told when the server takes none but others, in %s', async (version) => {
    const [client, known] = [await selfSigned('client.test'), await selfSigned('known.test')]
    const { ca, url, heard } = await setUp({
      requestCert: true,
      ca: known.cert,
      minVersion: version,
      maxVersion: version,
    })
    const request = { url: `${url}?token=${TOKEN}`, secretInBand: false, tls: { ca, ...client } }
    const refused = await connectWebSocket(request, {}).catch((thrown: unknown) => thrown)
    expect(refused).toMatchObject({ code: 'ERR_CONNECT' })
    expect(String(refused)).not.toContain(TOKEN)
    expect(heard).toEqual([])
  })
})

describe('keys of clients', () => {
  it('are said nothing of in an error of TLS', async () => {
    const { cert } = await selfSigned('client.test')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const { ca, open } = await setUp()
    const refused = await open({ ca, cert, key }).catch((thrown: unknown) => thrown)
    expect(refused).toMatchObject({ code: 'ERR_CONNECT' })
    for (const line of key.split('\n').slice(1, -2)) expect(String(refused)).not.toContain(line)
  })
})
