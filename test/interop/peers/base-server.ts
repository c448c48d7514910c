import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { Scene } from '../../support/e2e/scene.js'
import { Bell } from './base-bell.js'
import { BaseLink } from './base-link.js'
import { admitted } from './base-wire.js'

/** What a server does with a new link. */
export type Greeting = (link: BaseLink, target: URL) => void

/** Admits everybody: by the URL at once, else after the Auth message. */
const admitAll: Greeting = (link, target) => {
  if (target.searchParams.has('token')) link.send(admitted())
  else
    void link.next('auth').then(
      () => link.send(admitted()),
      () => {},
    )
}

/** A scripted server: the caller answers for it. */
export class BaseServer {
  /** Request targets of the handshakes so far. */
  readonly targets: string[] = []
  readonly links: BaseLink[] = []
  readonly port: number
  /** For --url. */
  readonly url: string
  /** What happens to the links from now on. */
  greet: Greeting
  /** Paths whose handshakes are sent on, and where to. */
  readonly redirects: Map<string, string>
  readonly #come = new Bell()
  #taken = 0

  constructor(server: WebSocketServer, greet: Greeting, redirects: Map<string, string>) {
    this.greet = greet
    this.redirects = redirects
    this.port = (server.address() as AddressInfo).port
    this.url = `ws://127.0.0.1:${this.port}`
    server.on('connection', (ws, request: IncomingMessage) => {
      const link = new BaseLink(ws, request.socket)
      this.targets.push(request.url ?? '')
      this.links.push(link)
      this.#come.ring()
      this.greet(link, new URL(request.url ?? '/', this.url))
    })
  }

  static async open(scene: Scene, greet: Greeting = admitAll): Promise<BaseServer> {
    const redirects = new Map<string, string>()
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      perMessageDeflate: false,
      verifyClient: ({ req }, answer) => {
        const location = redirects.get(req.url ?? '')
        if (location === undefined) answer(true)
        else answer(false, 302, 'Found', { Location: location })
      },
    })
    await once(server, 'listening')
    scene.own(() => {
      for (const client of server.clients) client.terminate()
      server.close()
    })
    return new BaseServer(server, greet, redirects)
  }

  /** The next link, past or to come. */
  async link(): Promise<BaseLink> {
    const index = this.#taken
    this.#taken += 1
    return await this.#come.until(`link ${index + 1} from a client`, () => this.links[index])
  }
}
