import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { HttpTls } from './http/http-server.js'
import type { CertificateFiles, ServerTlsOptions } from './options.js'
import { nodeClock } from './system/clock.js'
import { type AlarmBoard, CertificateExpiry } from './tls/certificate-expiry.js'
import { type CertificatePair, readCertificatePair, readCertificates, shownNames } from './tls/certificate-pair.js'
import { CertificateTable } from './tls/certificate-table.js'
import { type ClientAuthentication, TlsAcceptor } from './tls/tls-acceptor.js'
import { WatchedFiles } from './tls/watched-files.js'

export interface ServerTlsSetup extends ServerTlsOptions {
  /** Names that get certificates by themselves. @default none */
  readonly domains?: readonly string[] | undefined
  readonly log: Logger
  readonly alarms: AlarmBoard
}

/** The certificates of a server: from files that are read again when they change, and those that renew themselves. */
export class ServerTls {
  readonly table: CertificateTable
  readonly #setup: ServerTlsSetup
  readonly #expiry: CertificateExpiry
  readonly #sources: readonly string[]
  readonly #files: Pick<WatchedFiles<never>, 'reload' | 'close'>[] = []
  #clients: ClientAuthentication | undefined

  private constructor(setup: ServerTlsSetup) {
    const { certificates = [], domains = [], alarms, log } = setup
    this.#setup = setup
    this.#sources = [...certificates.map(({ certFile }) => certFile), ...domains]
    this.table = new CertificateTable(this.#sources)
    this.#expiry = new CertificateExpiry({ pairs: () => this.#pairs(), clock: nodeClock, alarms, log })
  }

  /** @throws {LinkSocksError} ERR_OPTION, which names the file */
  static async open(setup: ServerTlsSetup): Promise<ServerTls> {
    const tls = new ServerTls(setup)
    try {
      for (const files of setup.certificates ?? []) await tls.#watchCertificate(files)
      if (setup.clientCaFile !== undefined) await tls.#watchClientCa(setup.clientCaFile)
    } catch (thrown) {
      tls.close()
      throw thrown
    }
    return tls
  }

  /** For the HTTP server. */
  get http(): HttpTls {
    const { clientCaFile, clientAuth = 'required' } = this.#setup
    const asks = clientCaFile !== undefined
    const clients = asks ? () => this.#clients : undefined
    return {
      createAcceptor: (options) => new TlsAcceptor({ ...options, certificates: this.table, clients }),
      needsClientCertificate: asks && clientAuth !== 'optional',
    }
  }

  /** Uses another certificate for connections that come from now on. */
  use(source: string, pair: CertificatePair): void {
    this.table.set(source, pair)
    this.#expiry.look()
    const expires = new Date(pair.notAfter).toISOString()
    this.#setup.log.info('certificate.loaded', { source, names: shownNames(pair), expires })
  }

  /** Reads all files again. Never rejects. */
  async reload(): Promise<void> {
    await Promise.all(this.#files.map((files) => files.reload()))
  }

  close(): void {
    this.#expiry.close()
    for (const files of this.#files) files.close()
  }

  *#pairs(): Iterable<readonly [string, CertificatePair]> {
    for (const source of this.#sources) {
      const pair = this.table.get(source)
      if (pair !== undefined) yield [source, pair]
    }
  }

  async #watchCertificate({ certFile, keyFile }: CertificateFiles): Promise<void> {
    const read = ([certificates = '', key = '']: readonly string[]): CertificatePair => {
      const pair = readCertificatePair(certificates, key)
      const before = this.table.get(certFile)
      if (before !== undefined) checkTimes(pair, before)
      return pair
    }
    const changed = (pair: CertificatePair): void => this.use(certFile, pair)
    await this.#watch(certFile, certFile === keyFile ? [certFile, certFile] : [certFile, keyFile], read, changed)
  }

  async #watchClientCa(path: string): Promise<void> {
    const read = ([pem = '']: readonly string[]): ClientAuthentication => {
      return {
        ca: readCertificates(pem)
          .map((one) => one.toString())
          .join(''),
      }
    }
    const changed = (clients: ClientAuthentication): void => {
      this.#clients = clients
      this.#setup.log.info('client-authorities.loaded', { source: path })
    }
    await this.#watch(path, [path], read, changed)
  }

  async #watch<Content>(
    source: string,
    paths: readonly string[],
    read: (texts: readonly string[]) => Content,
    changed: (content: Content) => void,
  ): Promise<void> {
    const { alarms, log } = this.#setup
    const files = new WatchedFiles<Content>({
      ...{ paths, read, clock: nodeClock },
      changed: (content) => {
        alarms.clear('certificate-not-loaded', source)
        changed(content)
      },
      refused: (reason) => {
        log.warn('certificate.not-loaded', { source, reason })
        alarms.clear('certificate-not-loaded', source)
        alarms.raise('certificate-not-loaded', source, `the one before stays in use: ${reason}`)
      },
    })
    this.#files.push(files)
    try {
      await files.open()
    } catch (thrown) {
      const { message } = LinkSocksError.from(thrown, 'ERR_OPTION')
      throw new LinkSocksError('ERR_OPTION', message.includes(source) ? message : `${paths.join(' with ')}: ${message}`)
    }
  }
}

/**
 * Whether a new certificate is to take the place of one that is good.
 * @throws {LinkSocksError} ERR_OPTION
 */
function checkTimes(pair: CertificatePair, before: CertificatePair): void {
  const time = nodeClock.wallTime()
  const isGood = ({ notBefore, notAfter }: CertificatePair): boolean => notBefore <= time && time < notAfter
  if (isGood(pair) || !isGood(before)) return
  const over = pair.notAfter <= time
  const date = new Date(over ? pair.notAfter : pair.notBefore).toISOString()
  throw new LinkSocksError(
    'ERR_OPTION',
    over ? `the certificate has expired (${date})` : `the certificate is not good before ${date}`,
  )
}
