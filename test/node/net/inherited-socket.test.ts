import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { INHERITED_BACKLOG, InheritedSocket } from '../../../src/node/net/inherited-socket.js'
import {
  connectedSocket,
  type Passable,
  passing,
  tcpSocket,
  udpSocket,
  unixSocket,
} from '../../support/e2e/passed-sockets.js'

const MODULE = new URL('../../../dist/node/net/inherited-socket.js', import.meta.url).href
const OWN_PORTS = new URL('../../../dist/node/net/own-ports.js', import.meta.url).href

/** What a process has at hand: it prints what it comes to. */
const HEAD = `
  import { fstatSync } from 'node:fs'
  import { connect, createServer } from 'node:net'
  import { InheritedSocket } from '${MODULE}'
  import { exceptOwnPorts } from '${OWN_PORTS}'
  const take = (fd) => InheritedSocket.take(fd)
  const problem = (what) => { try { what() } catch ({ code, message }) { return { code, message } } }
  const failure = (promise) => promise.then(() => undefined, ({ code, message }) => ({ code, message }))
  const isDescriptor = (fd) => problem(() => fstatSync(fd)) === undefined
  const closed = (server) => new Promise((resolve) => server.close(resolve))
  const answer = (to) => new Promise((resolve) => {
    let said = ''
    connect(to).on('data', (data) => (said += data)).on('error', ({ code }) => resolve(code)).on('end', () => resolve(said))
  })
  const say = (result) => console.log(JSON.stringify(result))
`

/** What `script` says in a process that was passed `sockets`. */
async function inProcess(sockets: readonly Passable[], script: string): Promise<unknown> {
  const args = ['--input-type=module', '-e', HEAD + script]
  const child = await passing(sockets, (fds) =>
    spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', ...fds] }),
  )
  if (child.stdout === null) throw new Error('no output')
  return JSON.parse(await text(child.stdout))
}

describe('InheritedSocket', () => {
  it('accepts nothing until it listens, and then what waits in the queue first', async () => {
    const socket = await tcpSocket()
    const script = `
      const socket = take(3)
      const { host, port } = socket.address
      const waiting = answer({ host, port })
      const server = createServer((connection) => connection.end('here'))
      // it is connected, and nobody has it
      await new Promise((resolve) => connect({ host, port }, resolve).unref())
      const before = server.listening
      await socket.listen(server)
      const own = exceptOwnPorts(() => undefined)({ host, port }, 'tcp') !== undefined
      say({ address: socket.address, before, own, said: await waiting })
      process.exit()`
    expect(await inProcess([socket], script)).toEqual({
      address: { host: '127.0.0.1', port: socket.port },
      before: false,
      own: true,
      said: 'here',
    })
  })

  it('closes its descriptor with the server, and can be taken anew by the same number then', async () => {
    const script = `
      const socket = take(3)
      const server = createServer()
      await socket.listen(server)
      const open = [socket.isOpen, isDescriptor(3), problem(() => take(3))]
      await closed(server)
      say({ open, after: [socket.isOpen, isDescriptor(3), problem(() => take(3)), await failure(socket.listen(createServer()))] })`
    const taken = { code: 'ERR_LISTEN', message: 'descriptor 3 is in use already' }
    const gone = { code: 'ERR_LISTEN', message: 'descriptor 3 is not open: no socket was passed by this number' }
    const closed = { code: 'ERR_LISTEN', message: 'descriptor 3 is closed, or in use already' }
    expect(await inProcess([await tcpSocket()], script)).toEqual({
      open: [true, true, taken],
      after: [false, false, gone, closed],
    })
  })

  it('closes its descriptor by itself as long as nothing listens on it', async () => {
    const script = `
      const [tcp, unix] = [take(3), take(4)]
      for (const socket of [tcp, unix, tcp]) socket.close()
      setImmediate(() => say([isDescriptor(3), isDescriptor(4), tcp.isOpen, unix.isOpen]))`
    expect(await inProcess([await tcpSocket(), await unixSocket()], script)).toEqual([false, false, false, false])
  })

  it('leaves it to the server once that listens', async () => {
    const script = `
      const socket = take(3)
      const server = createServer((connection) => connection.end('still'))
      await socket.listen(server)
      socket.close()
      say([socket.isOpen, await answer(server.address()), await failure(socket.listen(createServer()))])
      process.exit()`
    expect(await inProcess([await tcpSocket()], script)).toEqual([
      true,
      'still',
      { code: 'ERR_LISTEN', message: 'descriptor 3 is closed, or in use already' },
    ])
  })

  it('fails to listen for a server that is closed in the same turn', async () => {
    const script = `
      const socket = take(3)
      const server = createServer()
      const listening = failure(socket.listen(server))
      server.close()
      say([await listening, isDescriptor(3)])`
    expect(await inProcess([await tcpSocket()], script)).toEqual([
      { code: 'ERR_LISTEN', message: 'descriptor 3 was closed' },
      false,
    ])
  })

  it('listens on a Unix domain socket, which has no address', async () => {
    const socket = await unixSocket()
    const script = `
      const socket = take(3)
      const server = createServer((connection) => connection.end('unix'))
      await socket.listen(server)
      const said = await answer({ path: '${socket.path}' })
      await closed(server)
      say({ address: socket.address ?? null, said, after: isDescriptor(3) })`
    expect(await inProcess([socket], script)).toEqual({ address: null, said: 'unix', after: false })
  })

  it('names the address of IPv6 as others do', async () => {
    const script = 'say(take(3).address.host)'
    expect(await inProcess([await tcpSocket('::1')], script)).toBe('::1')
  })

  const file = (): Passable => ({ fd: openSync('package.json', 'r'), port: 0, close: () => {} })
  const refused: readonly (readonly [string, () => Passable | Promise<Passable>, string])[] = [
    ['a file', file, 'is not a socket'],
    ['UDP', udpSocket, 'is a UDP socket: a listening TCP or Unix stream socket is needed (ListenStream=)'],
    [
      'a connection',
      connectedSocket,
      'is a connection and not a listening socket: in a unit of systemd, say Accept=no',
    ],
  ]

  it.each(refused)('is not made of %s, which stays as it is', async (_what, open, problem) => {
    const result = await inProcess([await open()], 'say([problem(() => take(3)), isDescriptor(3)])')
    expect(result).toEqual([{ code: 'ERR_LISTEN', message: `descriptor 3 ${problem}` }, true])
  })

  it('is not made of one of its own process', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { fd } = Reflect.get(server, '_handle') as { fd: number }
    expect(() => InheritedSocket.take(fd)).toThrow(`descriptor ${fd} is in use already`)
    expect(server.listening).toBe(true)
    server.close()
  })

  it('has a long queue', () => {
    expect(INHERITED_BACKLOG).toBeGreaterThan(4_096)
  })
})
