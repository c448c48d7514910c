import { ApiContract } from '../api-contract.js'
import { freePort } from '../ports.js'
import type { LinksocksProcess } from './process.js'
import type { ListenerProcess, Scene, ServerProcess } from './scene.js'

export const MODES = ['forward', 'reverse', 'agent', 'autonomy'] as const
export type Mode = (typeof MODES)[number]

/** A whole tunnel of one mode. */
export interface Tunnel {
  readonly server: ServerProcess
  readonly socksPort: number
  readonly processes: readonly LinksocksProcess[]
}

export interface TunnelOptions {
  /** Further flags of the process with the SOCKS5 port. */
  readonly listenerArgs?: readonly string[]
  /** The server's port. @default any */
  readonly port?: number
}

const API_KEY = 'key of the tests'

/** Starts what the mode needs, and waits until it can carry traffic. */
export async function startTunnel(scene: Scene, mode: Mode, options: TunnelOptions = {}): Promise<Tunnel> {
  const { listenerArgs = [], port = 0 } = options
  const socksPort = mode === 'forward' ? 0 : await freePort()
  const server = await scene.server(serverArgs(mode, socksPort, listenerArgs), { port })
  if (mode === 'forward')
    return withListener(server, [], await scene.listener(server.url, ['-t', 'F', ...listenerArgs]))
  const providing = scene.provider(server.url, ['-t', 'P', ...(mode === 'autonomy' ? ['-c', 'C'] : [])])
  // the server knows the token of an agent's connector by itself
  if (mode !== 'agent') await providing
  if (mode === 'autonomy') await (await providing).event('connector.registered')
  const listening = mode === 'reverse' ? undefined : scene.listener(server.url, ['-t', 'C', ...listenerArgs])
  const [provider, listener] = await Promise.all([providing, listening])
  if (mode !== 'autonomy') await server.process.event('socks.listening')
  if (listener === undefined) return { server, socksPort, processes: [server.process, provider] }
  return withListener(server, [provider], listener)
}

/** The server's command line in a mode. `socksPort` is the reverse token's. */
export function serverArgs(mode: Mode, socksPort: number, listenerArgs: readonly string[] = []): readonly string[] {
  const api = ['-k', API_KEY]
  switch (mode) {
    case 'forward':
      return [...api, '-t', 'F']
    case 'reverse':
      return [...api, '-r', '-t', 'P', '-p', `${socksPort}`, ...listenerArgs]
    case 'agent':
      return [...api, '-r', '-t', 'P', '-p', `${socksPort}`, '-c', 'C']
    case 'autonomy':
      return [...api, '-r', '-a', '-t', 'P']
  }
}

function withListener(
  server: ServerProcess,
  others: readonly LinksocksProcess[],
  { process, socksPort }: ListenerProcess,
): Tunnel {
  return { server, socksPort, processes: [server.process, ...others, process] }
}

export interface TokenState {
  readonly token: string
  readonly type: string
  readonly clients_count: number
  readonly port?: number
  readonly connector_tokens?: readonly string[]
  readonly listening?: boolean
}

const contract = new ApiContract()

/** A request to the HTTP API, whose answer is held to the document. */
export async function api(server: ServerProcess, method: string, path: string, body?: unknown): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${server.port}/api/${path}`, {
    method,
    headers: { 'X-API-Key': API_KEY },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  await contract.checkAnswer(method, new URL(response.url).pathname, response.clone())
  return response
}

/** The tokens of GET /api/status. */
export async function tokens(server: ServerProcess): Promise<readonly TokenState[]> {
  const response = await api(server, 'GET', 'status')
  const status = (await response.json()) as { tokens: readonly TokenState[] }
  return status.tokens
}
