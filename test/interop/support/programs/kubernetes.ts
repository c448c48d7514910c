import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Scene } from '../../../support/e2e/scene.js'
import type { LocalCa } from './ca.js'
import { listen, type Origin } from './origin.js'

/** Of the messages of exec, by their first byte (KEP-4006). */
const STDIN = 0
const STDOUT = 1
const ERROR = 3
const CLOSE = 255

export const LOGS = Array.from({ length: 1_000 }, (_, index) => `line ${index} of the log\n`).join('')

const PODS = '/api/v1/namespaces/default/pods'
const pod = (name: string, ready: boolean) => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: ready ? '2' : '1' },
  spec: { containers: [{ name: 'main', image: 'none' }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
})
const VERBS = ['create', 'get', 'list', 'watch']
const ANSWERS: Readonly<Record<string, unknown>> = {
  '/version': { major: '1', minor: '32', gitVersion: 'v1.32.0', platform: 'linux/amd64' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: VERBS }],
  },
  [PODS]: {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '1' },
    items: [pod('web', false), pod('db', false)],
  },
  [`${PODS}/web`]: pod('web', false),
}

/**
 * A scripted Kubernetes API with two pods: they become ready to those that watch; a command in them sends its input back.
 * With TLS it refuses requests without this bearer token; without, clients do not show theirs.
 */
export async function kubernetesApi(scene: Scene, token: string, ca?: LocalCa): Promise<Origin> {
  const listener: RequestListener = (request, response) => {
    if (ca === undefined || request.headers.authorization === `Bearer ${token}`) return void answer(request, response)
    return response.writeHead(401).end()
  }
  const server = ca === undefined ? createServer(listener) : createTlsServer({ cert: ca.cert, key: ca.key }, listener)
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'v5.channel.k8s.io' })
  sockets.on('connection', (ws) => {
    scene.own(() => ws.terminate())
    execute(ws)
  })
  const listening = await listen(scene, server)
  scene.own(() => server.closeAllConnections())
  return listening
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api')
  const send = (status: number, content: unknown): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(content))
  }
  if (request.method === 'POST') {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    return send(201, JSON.parse(Buffer.concat(chunks).toString()))
  }
  if (pathname === `${PODS}/web/log`) return void response.end(LOGS)
  // the stream goes on: what is written must arrive without its end
  if (searchParams.has('watch')) {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    return void response.write(`${JSON.stringify({ type: 'MODIFIED', object: pod('web', true) })}\n`)
  }
  const content = ANSWERS[pathname]
  if (content === undefined) return send(404, { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 })
  return send(200, content)
}

/** A command that sends its input back, and ends with it. */
function execute(ws: WebSocket): void {
  ws.on('message', (message: Buffer) => {
    if (message[0] === STDIN && message.length > 1) ws.send(Buffer.concat([Buffer.of(STDOUT), message.subarray(1)]))
    if (message[0] !== CLOSE || message[1] !== STDIN) return
    ws.send(Buffer.concat([Buffer.of(ERROR), Buffer.from('{"kind":"Status","status":"Success"}')]))
    ws.close(1000)
  })
}

export interface KubeConfig {
  readonly server: string
  readonly caFile: string
  readonly token: string
  readonly proxyUrl?: string | undefined
}

/** The text of a kubeconfig. */
export function kubeConfig({ server, caFile, token, proxyUrl }: KubeConfig): string {
  const tls = { 'certificate-authority': caFile, 'tls-server-name': 'localhost' }
  const proxy = proxyUrl === undefined ? {} : { 'proxy-url': proxyUrl }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'tests',
    contexts: [{ name: 'tests', context: { cluster: 'tests', user: 'ann' } }],
    clusters: [{ name: 'tests', cluster: { server, ...(server.startsWith('https') ? tls : {}), ...proxy } }],
    users: [{ name: 'ann', user: { token } }],
  })
}
