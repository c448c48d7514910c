import { type FrontKind, findProgram, portOf, startFront } from './reverse-proxy.js'

export const HAPROXY: FrontKind = {
  name: 'HAProxy',
  program: findProgram('haproxy'),
  async start(scene, options) {
    const { targetPort, idleSeconds = 60, certificate, source } = options
    const port = await portOf(options)
    const configuration = (): string => `
global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  timeout tunnel ${idleSeconds}s
frontend front
  bind 127.0.0.1:${port}${certificate === undefined ? '' : ` ssl crt ${certificate}`}
  default_backend server
backend server
  option forwardfor
  ${source === undefined ? '' : `source ${source}`}
  server linksocks 127.0.0.1:${targetPort}
`
    // -db: in the foreground
    return startFront(scene, ['127.0.0.1', port], configuration, (file) => [
      HAPROXY.program ?? 'haproxy',
      '-db',
      '-f',
      file,
    ])
  },
}
