// One hop of the plain relay over TLS: takes connections at one port, and carries each to another. tls-hop.mjs <port> <to> <place>, where
// the place is `first`, `middle` or `last`: TLS is between the hops, and not before the first or behind the last one.
import { readFileSync } from 'node:fs'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { CA_FILE, CERT_FILE, KEY_FILE } from '../lib/tls-files.mjs'

const [port, to] = process.argv.slice(2, 4).map(Number)
const place = process.argv[4]

const ca = readFileSync(CA_FILE)
const listening = { allowHalfOpen: true, noDelay: true }
const reaching = { port: to ?? 0, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }

const connect = () => (place === 'last' ? net.connect(reaching) : tls.connect({ ...reaching, ca }).setNoDelay(true))

function carry(/** @type {net.Socket} */ near) {
  const far = connect()
  near.pipe(far)
  far.pipe(near)
  near.on('error', () => far.destroy())
  far.on('error', () => near.destroy())
  near.on('close', () => far.destroy())
  far.on('close', () => near.destroy())
}

const server =
  place === 'first'
    ? net.createServer(listening, carry)
    : tls.createServer({ ...listening, cert: readFileSync(CERT_FILE), key: readFileSync(KEY_FILE) }, carry)
server.listen({ port, host: '127.0.0.1', backlog: 4_096 })
