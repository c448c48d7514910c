import { startNginx } from '../../interop/support/proxies/nginx.js'
import { type Front, findProgram, folderOf, startFront } from '../../interop/support/proxies/reverse-proxy.js'
import { readText } from '../../project/support.js'
import type { Scene } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'

export interface ExampleOptions {
  readonly targetPort: number
  /** PEM file with certificate and key for localhost. */
  readonly certificate: string
  /** Instead of the time-outs of the example. */
  readonly idleSeconds?: number
}

export interface Example {
  /** Speaks TLS. */
  readonly port: number
  /** Speaks plain HTTP, where the example has such a port. */
  readonly plainPort?: number
  /** What it writes about requests. */
  readonly logFolder: string
  readonly front: Front
}

export interface ExampleKind {
  readonly name: string
  /** Its path; `undefined` where it is not installed. */
  readonly program: string | undefined
  /** Runs the example as it is but for ports, paths and the certificate. */
  start(scene: Scene, options: ExampleOptions): Promise<Example>
}

/** `text` with each `from` replaced. @throws when one of them isn't there: the example has changed */
function replaced(text: string, changes: readonly (readonly [from: string | RegExp, to: string])[]): string {
  return changes.reduce((changed, [from, to]) => {
    const next = changed.replaceAll(from, to)
    if (next === changed) throw new Error(`the example has no ${from}`)
    return next
  }, text)
}

export const NGINX_EXAMPLE: ExampleKind = {
  name: 'nginx',
  program: findProgram('nginx'),
  async start(scene, { targetPort, certificate, idleSeconds }) {
    const port = await freePort(2)
    const logFolder = folderOf(scene)
    const servers = replaced(await readText('deploy/nginx.conf'), [
      [/^ *listen \[::\].*\n/gm, ''],
      ['listen 80;', `listen 127.0.0.1:${port + 1};`],
      ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
      ['relay.example.com', 'localhost'],
      ['127.0.0.1:8765', `127.0.0.1:${targetPort}`],
      [/\/etc\/ssl\/linksocks\/\w+\.pem/g, certificate],
      ['/var/log/nginx', logFolder],
      ...(idleSeconds === undefined ? [] : [[/90s;/g, `${idleSeconds}s;`] as const]),
    ])
    const front = await startNginx(scene, { listens: ['127.0.0.1', port], servers })
    return { port, plainPort: port + 1, logFolder, front }
  },
}

export const CADDY_EXAMPLE: ExampleKind = {
  name: 'Caddy',
  program: findProgram('caddy'),
  async start(scene, { targetPort, certificate }) {
    const port = await freePort()
    const logFolder = folderOf(scene)
    const site = replaced(await readText('deploy/Caddyfile'), [
      ['relay.example.com {', `https://localhost:${port} {\n\tbind 127.0.0.1\n\ttls ${certificate} ${certificate}`],
      ['127.0.0.1:8765', `127.0.0.1:${targetPort}`],
    ])
    const all = `{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system ${logFolder}\n}\n${site}`
    const front = await startFront(
      scene,
      ['127.0.0.1', port],
      () => all,
      (file, folder) => [
        ...['env', `HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`, `XDG_DATA_HOME=${folder}`],
        ...[CADDY_EXAMPLE.program ?? 'caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
      ],
    )
    return { port, logFolder, front }
  },
}
