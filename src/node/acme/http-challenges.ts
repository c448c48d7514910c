import { type HttpServer, type HttpServerOptions, listenHttp } from '../http/http-server.js'
import type { ListenAddress } from '../net/listen-address.js'

const PATH = '/.well-known/acme-challenge/'

/** The port at which an authority finds answers by HTTP (RFC 8555 section 8.3). It serves nothing else. */
export class HttpChallenges {
  readonly #answers = new Map<string, string>()
  #server: HttpServer | undefined

  /** @throws {LinkSocksError} ERR_LISTEN */
  async open(address: ListenAddress, options: Pick<HttpServerOptions, 'log' | 'inherited'>): Promise<void> {
    this.#server = await listenHttp({
      ...{ ...options, listen: [address], isSocketPath: () => false, upgrade: (transport) => transport.abort() },
      handle: async ({ method }, { rawPath }) => this.#answer(method, rawPath),
    })
  }

  get isOpen(): boolean {
    return this.#server !== undefined
  }

  /** @returns what takes the answer away */
  put(token: string, keyAuthorization: string): () => void {
    this.#answers.set(token, keyAuthorization)
    return () => void this.#answers.delete(token)
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }

  #answer(method: string, path: string): Response {
    if (method !== 'GET' && method !== 'HEAD')
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
    const answer = path.startsWith(PATH) ? this.#answers.get(path.slice(PATH.length)) : undefined
    if (answer === undefined) return new Response('not found: only names are validated here\n', { status: 404 })
    const headers = { 'content-type': 'application/octet-stream', 'content-length': `${answer.length}` }
    return new Response(answer, { headers })
  }
}
