import { describe, expect, it } from 'vitest'
import { startClient, startServer } from '../../node/library-fixture.js'
import { sceneOfTest } from '../../support/e2e/scene.js'
import { readBytes, socksConnect } from '../../support/e2e/socks.js'
import { echoTarget, readAll } from '../../support/e2e/targets.js'
import { until } from '../../support/wait.js'
import { CuttingRelay } from '../cutting-relay.js'

const SPLIT = { singleBytes: true }
const TEXT = 'every byte in a segment of its own, and again: '.repeat(4)
/** Each byte of the text is a message on the link, and each byte of that a segment. */
const CUTS = 4

/** One tunnel in this process: what a relay writes byte by byte is read byte by byte. */
describe('a tunnel whose bytes come one by one', () => {
  const scene = sceneOfTest()

  /** Single bytes between the SOCKS side and the server, and between the application and the SOCKS port. */
  async function splitTunnel() {
    const { port, log } = await startServer({ tokens: [{ type: 'forward', token: 'secret' }] })
    const hop = await CuttingRelay.open(scene, port, SPLIT)
    const { log: clientLog } = await startClient({ url: hop.url, token: 'secret', socks: { port: 0 } })
    const [listening] = clientLog.of('socks.listening')
    const door = await CuttingRelay.open(scene, Number(listening?.port), SPLIT)
    const echo = await echoTarget(scene)
    return { hop, log, clientLog, open: () => socksConnect(scene, door.port, ['127.0.0.1', echo]) }
  }

  it('shakes hands, connects, carries data and both half-closes exactly', async () => {
    const { open } = await splitTunnel()
    const socket = await open()
    socket.end(TEXT)
    expect((await readAll(socket)).toString()).toBe(TEXT)
  })

  it('goes on after a cut in the middle with nothing missing and nothing twice, half-close included', async () => {
    const { hop, log, clientLog, open } = await splitTunnel()
    const socket = await open()
    socket.write(TEXT)
    const begin = await readBytes(socket, 30)
    expect(hop.cut()).toBe(1)
    await until(() => clientLog.of('link.up').length === 2 && log.of('link.resumed').length > 0)
    expect(log.of('link.resumed')).toHaveLength(1)
    const rest = readAll(socket)
    socket.end(TEXT)
    expect(begin.toString() + (await rest).toString()).toBe(TEXT + TEXT)
  })

  it('goes on after each of several cuts, wherever they fall', async () => {
    const { hop, log, open } = await splitTunnel()
    const socket = await open()
    for (let round = 0; round < CUTS; round++) {
      socket.write(TEXT)
      const begin = await readBytes(socket, (round + 1) * 30)
      hop.cut()
      await until(() => log.of('link.resumed').length === round + 1)
      const rest = await readBytes(socket, TEXT.length - begin.length)
      expect(begin.toString() + rest.toString()).toBe(TEXT)
    }
    socket.end('end')
    expect((await readAll(socket)).toString()).toBe('end')
  })
})
