import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import type { LinksocksProcess } from '../../support/e2e/process.js'
import type { Scene } from '../../support/e2e/scene.js'
import { readAll } from '../../support/e2e/targets.js'
import { within } from '../../support/wait.js'
import { folderOf } from './proxies/reverse-proxy.js'

/** Names of the certificates of tests. */
export const LOOPBACK_NAMES = ['DNS:localhost', 'IP:127.0.0.1']
export const API_KEY = 'key of the tests'

/** A server of ours that does its own TLS. */
export interface TlsServer {
  readonly process: LinksocksProcess
  readonly port: number
  /** For --url. */
  readonly url: string
  /** What it reads. */
  readonly files: PairFiles
}

/** A certificate with its chain, and its key, each in a file. */
export interface PairFiles {
  readonly cert: string
  readonly key: string
  /** Puts new ones in their place: certificates from one bundle, the key from another. */
  put(bundle: string, keyBundle?: string): void
}

/** A new file in place of another, in one step. */
export function replace(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function keyIn(bundle: string): string {
  return readFileSync(bundle, 'utf8').replace(/-----BEGIN CERTIFICATE-[\s\S]*?-END CERTIFICATE-----\n/g, '')
}

/** Files that are replaced one after the other. */
function pairFiles(scene: Scene): PairFiles {
  const folder = folderOf(scene)
  const cert = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const put = (bundle: string, keyBundle = bundle): void => {
    replace(key, keyIn(keyBundle))
    replace(cert, readFileSync(bundle))
  }
  return { cert, key, put }
}

/** Files as Kubernetes mounts a secret: links into a directory, itself a link, which is replaced with all that is in it. */
export function mountedSecret(scene: Scene): PairFiles {
  const folder = folderOf(scene)
  const [cert, key] = ['tls.crt', 'tls.key'].map((name) => {
    symlinkSync(join('..data', name), join(folder, name))
    return join(folder, name)
  }) as [string, string]
  let count = 0
  let before: string | undefined
  const put = (bundle: string, keyBundle = bundle): void => {
    count += 1
    const content = join(folder, `..content-${count}`)
    mkdirSync(content)
    writeFileSync(join(content, 'tls.crt'), readFileSync(bundle))
    writeFileSync(join(content, 'tls.key'), keyIn(keyBundle))
    symlinkSync(`..content-${count}`, join(folder, '..data.new'))
    renameSync(join(folder, '..data.new'), join(folder, '..data'))
    if (before !== undefined) rmSync(before, { recursive: true })
    before = content
  }
  return { cert, key, put }
}

/** Starts a server that listens on `wss://` of loopback. `bundle` is a PEM file with certificates and key. */
export async function startTlsServer(
  scene: Scene,
  bundle: string,
  args: readonly string[],
  files: PairFiles = pairFiles(scene),
): Promise<TlsServer> {
  files.put(bundle)
  const tls = ['--listen', 'wss://127.0.0.1:0', '--tls-cert', files.cert, '--tls-key', files.key]
  const process = scene.start(['server', ...tls, '-k', API_KEY, '--log-format', 'json', ...args])
  const ready = await process.event('server.ready')
  const port = Number(String(ready.address).split(':').at(-1))
  return { process, port, url: `wss://localhost:${port}`, files }
}

/** What the API of a server answers to GET. */
export async function askApi<Answer>(scene: Scene, { port }: TlsServer, path: string): Promise<Answer> {
  const socket = await tlsConnection(scene, port)
  const fields = ['Host: localhost', `X-API-Key: ${API_KEY}`, 'Connection: close']
  socket.write(`GET /api/${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
  const answer = (await readAll(socket)).toString()
  return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
}

/** A TLS connection, ended with the scene, whose handshake is done; the certificate is not judged. */
export async function tlsConnection(scene: Scene, port: number, options: object = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...options })
  scene.own(() => socket.destroy())
  const connected = new Promise<TLSSocket>((resolve, reject) => {
    socket.on('secureConnect', () => resolve(socket)).on('error', reject)
    socket.on('close', () => reject(new Error('closed before the handshake was done')))
  })
  return await within(connected, `TLS handshake with port ${port}`)
}

/** The serial number of a certificate in a PEM file, the first one there. */
export function serialOf(bundle: string): string {
  return new X509Certificate(readFileSync(bundle)).serialNumber
}

/** That of the certificate that a new handshake shows. */
export async function shownSerial(scene: Scene, port: number): Promise<string> {
  const socket = await tlsConnection(scene, port)
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}
