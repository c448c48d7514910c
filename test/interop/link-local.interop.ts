import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { sceneOfTest } from '../support/e2e/scene.js'
import { readBytes, socksAddress } from '../support/e2e/socks.js'
import { echoTarget, udpEcho } from '../support/e2e/targets.js'
import { within } from '../support/wait.js'
import { findProgram } from './support/proxies/reverse-proxy.js'

/** Addresses are given only to a network that is nobody else's. */
const OWN_NETWORK = process.env.LINKSOCKS_INTEROP_ISOLATED === '1'
const IP = findProgram('ip')
const ZONE = 'lo'
const ADDRESS = 'fe80::7'

function changeAddress(action: 'add' | 'del'): void {
  execFileSync(IP ?? '', [
    '-6',
    'address',
    action,
    `${ADDRESS}/64`,
    'dev',
    ZONE,
    ...(action === 'add' ? ['nodad'] : []),
  ])
}

const scene = sceneOfTest()

it.for([
  ['all addresses', '::'],
  ['the address with its zone', `${ADDRESS}%${ZONE}`],
] as const)('a SOCKS5 port on %s serves TCP and UDP to clients by a link-local address', async ([, host], { skip }) => {
  skip(!OWN_NETWORK || IP === undefined, 'no network of its own here')
  changeAddress('add')
  scene.own(() => changeAddress('del'))
  const server = await scene.server(['-t', 'F'])
  const { socksPort } = await scene.listener(server.url, ['-t', 'F', '-s', host])
  const ask = async (command: number, target: Buffer) => {
    const socket = connect({ host: `${ADDRESS}%${ZONE}`, port: socksPort })
    scene.own(() => socket.destroy())
    socket.write(Buffer.concat([Buffer.of(5, 1, 0, 5, command, 0), target]))
    const [, , , rep, , atyp] = await readBytes(socket, 6)
    const bound = await readBytes(socket, (atyp === 4 ? 16 : 4) + 2)
    return { socket, rep, atyp, bound }
  }
  const tcp = await ask(1, socksAddress('127.0.0.1', await echoTarget(scene, '127.0.0.1')))
  tcp.socket.write('by TCP')
  expect([tcp.rep, `${await readBytes(tcp.socket, 6)}`]).toEqual([0, 'by TCP'])

  const { rep, atyp, bound } = await ask(3, socksAddress('0.0.0.0', 0))
  expect([rep, atyp, bound.subarray(0, 16).toString('hex')]).toEqual([0, 4, `fe80${'00'.repeat(13)}07`])
  const udp = createSocket('udp6')
  scene.own(() => udp.close())
  const answer = once(udp, 'message')
  const target = socksAddress('127.0.0.1', await udpEcho(scene, '127.0.0.1'))
  const datagram = Buffer.concat([Buffer.of(0, 0, 0), target, Buffer.from('by UDP')])
  udp.send(datagram, bound.readUInt16BE(16), `${ADDRESS}%${ZONE}`)
  const [message] = (await within(answer, 'a datagram by a link-local address')) as [Buffer]
  expect(`${message.subarray(10)}`).toBe('by UDP')
})
