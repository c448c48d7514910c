import { describe, expect, it } from 'vitest'
import { MODES, type Mode, serverArgs } from '../support/e2e/modes.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'
import { socksConnect } from '../support/e2e/socks.js'
import { echoTarget, errorOf, readAll } from '../support/e2e/targets.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'

/** @returns the SOCKS5 port to use; the server's own in reverse mode */
async function startClients(scene: Scene, mode: Mode, url: string, serverPort: number): Promise<number> {
  if (mode === 'forward') return (await scene.listener(url, ['-t', 'F'])).socksPort
  const provider = await scene.provider(url, ['-t', 'P', ...(mode === 'autonomy' ? ['-c', 'C'] : [])])
  if (mode === 'reverse') return serverPort
  if (mode === 'autonomy') await provider.event('connector.registered')
  return (await scene.listener(url, ['-t', 'C'])).socksPort
}

describe('a server that is killed and started again', () => {
  const scene = sceneOfTest()

  it.each(MODES)('has its clients back in %s mode', async (mode) => {
    const echo = await echoTarget(scene)
    const [port, reversePort] = [await freePort(), await freePort()]
    const server = await scene.server(serverArgs(mode, reversePort), { port })
    const socksPort = await startClients(scene, mode, server.url, reversePort)
    const exchange = async (text: string): Promise<string> => {
      const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo])
      socket.end(text)
      return (await readAll(socket)).toString()
    }
    const works = (text: string) => () => exchange(text).catch(() => undefined)
    expect(await eventually('stream', works('before'))).toBe('before')
    const cut = errorOf(await socksConnect(scene, socksPort, ['127.0.0.1', echo]))

    await server.process.end('SIGKILL')
    await scene.server(serverArgs(mode, reversePort), { port })
    // a server that knows nothing of the old sessions ends their streams; in reverse mode its end of them died with it
    if (mode !== 'reverse') expect(await cut).toMatchObject({ code: 'ECONNRESET' })
    expect(await eventually('stream after the restart', works('after'))).toBe('after')
  })
})
