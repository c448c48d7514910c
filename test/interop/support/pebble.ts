import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Scene } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { until, untilPasses } from '../../support/wait.js'
import { type LocalCa, localCa, OPENSSL } from './local-ca.js'
import { dnsServer, type Zone } from './programs/dns.js'

const PROGRAM = fileURLToPath(new URL('../.venv/pebble/pebble', import.meta.url))

/** Why the cases with an ACME authority can't run here. */
export const PEBBLE_MISSING =
  OPENSSL === undefined
    ? 'openssl is missing'
    : existsSync(PROGRAM)
      ? undefined
      : 'pebble is not built (install.sh needs Go)'

export interface PebbleOptions {
  /** Looked up at each validation: names may be added later. */
  readonly zone: Zone
  /** Where the authority looks for answers. */
  readonly tlsPort: number
  readonly httpPort: number
  /** Seconds that a certificate is good for. */
  readonly validitySeconds: number
}

export interface Pebble {
  readonly directory: string
  /** Of the authority that its directory is trusted by, for NODE_EXTRA_CA_CERTS. */
  readonly directoryCa: string
  /** PEM file of the root that signs its certificates, for --ca-file. */
  readonly rootFile: string
  /** Ends it. */
  stop(): Promise<void>
  /** Certificates that it has issued so far. */
  readonly issued: () => number
  readonly log: () => string
}

/** An ACME authority that validates names for real, by a DNS server of its own. */
export async function startPebble(scene: Scene, options: PebbleOptions): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-pebble-'))
  scene.own(() => rmSync(folder, { recursive: true, force: true }))
  const ca = await localCa(scene, 'Authority of the directory')
  const [port, managementPort] = [await freePort(), await freePort()]
  const dnsPort = await dnsServer(scene, options.zone, 4_096)
  const configuration = await configurationOf(ca, options, port, managementPort)
  const file = join(folder, 'pebble.json')
  writeFileSync(file, JSON.stringify(configuration))
  const child = spawn(PROGRAM, ['-config', file, '-dnsserver', `127.0.0.1:${dnsPort}`, '-strict'], {
    // validations at once; some nonces are refused, as real authorities do
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '15', PEBBLE_AUTHZREUSE: '0' },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more))
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const stop = (): Promise<void> => {
    child.kill('SIGKILL')
    return exited
  }
  scene.own(stop)
  await until(() => text.includes('ACME directory available at'))
  const directory = `https://127.0.0.1:${port}/dir`
  // it says so before it listens
  await untilPasses(() => read(directory))
  const rootFile = join(folder, 'root.pem')
  writeFileSync(rootFile, await untilPasses(() => read(`https://127.0.0.1:${managementPort}/roots/0`)))
  return {
    directory,
    directoryCa: ca.file,
    rootFile,
    stop,
    issued: () => text.match(/Issued certificate serial/g)?.length ?? 0,
    log: () => text,
  }
}

async function configurationOf(ca: LocalCa, options: PebbleOptions, port: number, managementPort: number) {
  const certificate = await ca.certificate({ names: ['IP:127.0.0.1'] })
  return {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate,
      privateKey: certificate,
      httpPort: options.httpPort,
      tlsPort: options.tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
      retryAfter: { authz: 1, order: 1 },
      profiles: { default: { description: 'of the test', validityPeriod: options.validitySeconds } },
    },
  }
}

function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (more) => (text += more))
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}
