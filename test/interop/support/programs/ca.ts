import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scene } from '../../../support/e2e/scene.js'
import { folder, output } from './programs.js'

/** A certificate authority that nobody else knows, and a server's certificate of it for loopback. */
export interface LocalCa {
  /** For `--cacert` and its like. */
  readonly caFile: string
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

const EXTENSIONS = `basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
`
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** Makes one with openssl. */
export async function localCa(scene: Scene): Promise<LocalCa> {
  const cwd = folder(scene)
  const openssl = (...args: readonly string[]) => output(scene, ['openssl', ...args], { cwd })
  await openssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA')
  await openssl('req', ...KEY, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  writeFileSync(join(cwd, 'server.ext'), EXTENSIONS)
  const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
  await openssl('x509', '-req', '-in', 'server.csr', ...signer, '-extfile', 'server.ext', '-out', 'server.pem')
  const read = (name: string): Buffer => readFileSync(join(cwd, name))
  return { caFile: join(cwd, 'ca.pem'), ca: read('ca.pem'), cert: read('server.pem'), key: read('server.key') }
}
