import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Scene } from '../../support/e2e/scene.js'
import { findProgram, folderOf } from './proxies/reverse-proxy.js'

const run = promisify(execFile)
export const OPENSSL = findProgram('openssl')

export interface CertificateOptions {
  /** Subject alternative names, as OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names: readonly string[]
  /** @default 2090 */
  readonly endYear?: number
  /** Whether an authority in between signs it, whose certificate is in the file too. @default false */
  readonly chained?: boolean
}

/** A certificate authority that nobody trusts but who is told to. */
export interface LocalCa {
  /** Its certificate, for --ca-file. */
  readonly file: string
  /** A new certificate: a PEM file with the certificate and its key. */
  certificate(options: CertificateOptions): Promise<string>
}

/** Settings of `openssl ca`, which unlike its other commands can date a certificate back. */
const settings = (folder: string, names: readonly string[]): string => `
[ca]
default_ca = this
[this]
database = ${folder}/index
new_certs_dir = ${folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = ${names.join(',')}
[req]
distinguished_name = name
[name]
`

/** Makes an authority in a folder of the scene. */
export async function localCa(scene: Scene, name: string): Promise<LocalCa> {
  const folder = folderOf(scene)
  const path = (file: string): string => join(folder, file)
  const openssl = (...args: readonly string[]) => run(OPENSSL ?? 'openssl', [...args], { cwd: folder })
  let count = 0
  interface Signed {
    readonly key: string
    readonly made: string
  }
  const sign = async (
    subject: string,
    { names, endYear = 2090 }: CertificateOptions,
    signedBy: Signed | undefined,
    ...how: readonly string[]
  ): Promise<Signed> => {
    count += 1
    const key = path(`${count}.key`)
    const made = path(`${count}.pem`)
    writeFileSync(path('settings'), settings(folder, names))
    await openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-out', key)
    await openssl(
      'req',
      '-new',
      '-config',
      path('settings'),
      '-key',
      key,
      '-subj',
      `/CN=${subject}`,
      '-out',
      path('request'),
    )
    const dates = ['-startdate', '20200101000000Z', '-enddate', `${endYear}0101000000Z`]
    const signer =
      signedBy === undefined ? ['-selfsign', '-keyfile', key] : ['-keyfile', signedBy.key, '-cert', signedBy.made]
    const rest = ['-notext', '-in', path('request'), '-out', made, ...dates, ...signer, ...how]
    await openssl('ca', '-batch', '-config', path('settings'), ...rest)
    return { key, made }
  }
  writeFileSync(path('index'), '')
  const names = ['DNS:authority.invalid']
  const root = await sign(name, { names }, undefined, '-extensions', 'authority')
  return {
    file: root.made,
    async certificate(options) {
      const between = options.chained
        ? await sign('In between', { names }, root, '-extensions', 'authority')
        : undefined
      const { key, made } = await sign('a server', options, between ?? root, '-extensions', 'server')
      const bundle = `${made}.bundle`
      const parts = [made, ...(between === undefined ? [] : [between.made]), key]
      writeFileSync(bundle, parts.map((file) => readFileSync(file, 'utf8')).join(''))
      return bundle
    },
  }
}
