// One hop of the plain relay: takes connections at one port, and carries each to another. relay-hop.mjs <port> <to>
import { connect, createServer } from 'node:net'

const [port, to] = process.argv.slice(2).map(Number)

createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: to ?? 0, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  near.pipe(far)
  far.pipe(near)
  near.on('error', () => far.destroy())
  far.on('error', () => near.destroy())
  near.on('close', () => far.destroy())
  far.on('close', () => near.destroy())
}).listen({ port, host: '127.0.0.1', backlog: 4_096 })
