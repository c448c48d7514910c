import { join, resolve } from 'node:path'
import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import { AcmeCertificates } from './acme/acme-certificates.js'
import { AcmeStore } from './acme/acme-store.js'
import { HttpChallenges } from './acme/http-challenges.js'
import type { InheritedSocket } from './net/inherited-socket.js'
import type { AcmeOptions } from './options.js'
import type { ServerTls } from './server-tls.js'
import { parseDataKey, readKeyFile } from './store/data-key.js'
import { nodeClock } from './system/clock.js'
import type { AlarmBoard } from './tls/certificate-expiry.js'

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'
/** Where authorities look (RFC 8555 section 8.3). */
const HTTP_ADDRESS = { host: '0.0.0.0', port: 80 }
const KEY_FILE = 'data.key'

export interface ServerAcmeSetup extends AcmeOptions {
  readonly dataDir: string
  readonly dataKey?: string | undefined
  readonly tls: ServerTls
  readonly log: Logger
  readonly alarms: AlarmBoard
  /** The socket of a descriptor that `httpListen` names. */
  readonly inherited?: ((fd: number) => InheritedSocket | undefined) | undefined
}

/** Certificates that a server gets and renews by itself, with the port for validations by HTTP. */
export class ServerAcme {
  readonly #certificates: AcmeCertificates
  readonly #http: HttpChallenges

  private constructor(certificates: AcmeCertificates, http: HttpChallenges) {
    this.#certificates = certificates
    this.#http = http
  }

  /** @throws {LinkSocksError} ERR_STORE, ERR_LISTEN (of an address that was given), ERR_OPTION (a package is missing) */
  static async open(setup: ServerAcmeSetup): Promise<ServerAcme> {
    const { domains, email, directory = LETS_ENCRYPT, tls, log, alarms } = setup
    const key = await dataKeyOf(setup)
    const http = await openHttp(setup)
    const certificates = new AcmeCertificates({
      ...{ domains, email, directory, log, alarms, clock: nodeClock, random: Math.random },
      store: new AcmeStore(resolve(setup.dataDir), key),
      use: (domain, pair) => tls.use(domain, pair),
      putTlsAnswer: (domain, pair) => tls.table.putChallenge(domain, pair),
      putHttpAnswer: http.isOpen ? (token, text) => http.put(token, text) : undefined,
    })
    try {
      await certificates.open()
    } catch (thrown) {
      await http.close()
      throw thrown
    }
    return new ServerAcme(certificates, http)
  }

  /** The server listens. */
  start(): void {
    this.#certificates.start()
  }

  retry(): void {
    this.#certificates.retry()
  }

  async close(): Promise<void> {
    await Promise.all([this.#certificates.close(), this.#http.close()])
  }
}

/** That of the data directory, which is open by now. */
async function dataKeyOf({ dataDir, dataKey }: ServerAcmeSetup) {
  if (dataKey !== undefined) return parseDataKey(dataKey)
  const path = join(resolve(dataDir), KEY_FILE)
  const key = await readKeyFile(path)
  if (key === undefined) throw new LinkSocksError('ERR_STORE', `the key file ${path} is missing`)
  return key
}

/** Names can be validated at the TLS port alone: where nobody asked for this one, it may be taken. */
async function openHttp({ httpListen, log, inherited }: ServerAcmeSetup): Promise<HttpChallenges> {
  const http = new HttpChallenges()
  if (httpListen === false) return http
  try {
    await http.open(httpListen ?? HTTP_ADDRESS, { log, inherited })
  } catch (thrown) {
    if (httpListen !== undefined) throw thrown
    const { message } = LinkSocksError.from(thrown, 'ERR_LISTEN')
    log.info('acme.no-http', { reason: `${message}: names are validated at the TLS port alone` })
  }
  return http
}
