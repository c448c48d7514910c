import { once } from 'node:events'
import { createServer } from 'node:http'

const escapeHtml = (text) => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`)

const html = (request) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Hello from behind the provider</title>
<style>body { font: 1.1rem/1.6 sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }</style>
</head>
<body>
<h1>Hello from behind the provider</h1>
<p>This page came from a small web server, over TCP to the provider, through a WebSocket to the relay, through another
WebSocket to the connector, and out of its proxy port.</p>
<p>The web server saw a request from ${request.socket.remoteAddress} port ${request.socket.remotePort}: that was the
provider. It asked for <code>${escapeHtml(request.headers.host ?? '')}</code>, and the time here is ${new Date().toISOString()}.</p>
</body>
</html>
`

/** Serves one page on a free port of 127.0.0.1 and counts what its connections carried. */
export async function startWebPage() {
  const sockets = []
  const server = createServer((request, response) => {
    const body = html(request)
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(body) })
    response.end(body)
  })
  server.on('connection', (socket) => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sum = (count) => sockets.reduce((total, socket) => total + count(socket), 0)
  return {
    port: server.address().port,
    bytesReceived: () => sum((socket) => socket.bytesRead),
    bytesSent: () => sum((socket) => socket.bytesWritten),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}
