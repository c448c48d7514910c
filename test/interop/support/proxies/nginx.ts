import type { Scene } from '../../../support/e2e/scene.js'
import { type Front, type FrontKind, type FrontOptions, findProgram, portOf, startFront } from './reverse-proxy.js'

/** What its documentation says for WebSockets, and nothing else. */
export function location(path: string, target: string, ...more: readonly string[]): string {
  return `location ${path} {
      proxy_pass ${target};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      ${more.join('\n      ')}
    }`
}

export function tlsLines(certificate: string): string {
  return `ssl_certificate ${certificate}; ssl_certificate_key ${certificate};`
}

export interface NginxOptions {
  /** Where it listens, to know when it runs. */
  readonly listens: readonly [string, number]
  /** Server blocks. */
  readonly servers: string
  /** @default none */
  readonly main?: string
}

/** An nginx of the test's own, in the foreground. */
export function startNginx(scene: Scene, { listens, servers, main = '' }: NginxOptions): Promise<Front> {
  const configuration = (folder: string): string => `
daemon off;
worker_processes 1;
# only root may say so; others run it as themselves anyway
user root;
pid ${folder}/pid;
error_log stderr warn;
${main}
events { worker_connections 4096; }
http {
  access_log ${folder}/access.log;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${servers}
}
`
  return startFront(scene, listens, configuration, (file, folder) => [
    NGINX.program ?? 'nginx',
    ...['-e', 'stderr', '-p', folder, '-c', file],
  ])
}

export const NGINX: FrontKind = {
  name: 'nginx',
  program: findProgram('nginx'),
  async start(scene, options) {
    const port = await portOf(options)
    const { certificate } = options
    const listen =
      certificate === undefined ? `listen 127.0.0.1:${port};` : `listen 127.0.0.1:${port} ssl; ${tlsLines(certificate)}`
    return startNginx(scene, { listens: ['127.0.0.1', port], servers: `server { ${listen} ${everything(options)} }` })
  },
}

function everything({ targetPort, idleSeconds, source }: FrontOptions): string {
  const lines = [
    idleSeconds === undefined ? '' : `proxy_read_timeout ${idleSeconds}s; proxy_send_timeout ${idleSeconds}s;`,
    source === undefined ? '' : `proxy_bind ${source};`,
  ]
  return location('/', `http://127.0.0.1:${targetPort}`, ...lines)
}
