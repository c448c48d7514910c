import { expect, it } from 'vitest'
import { MODES, type Mode } from '../support/e2e/modes.js'
import { LinksocksProcess } from '../support/e2e/process.js'
import type { Scene } from '../support/e2e/scene.js'
import { readBytes, socksConnect } from '../support/e2e/socks.js'
import { echoTarget, tcpTarget } from '../support/e2e/targets.js'
import { eventually } from '../support/wait.js'
import { type CapturedLink, captureInFront } from './support/capture.js'
import type { Deployed } from './support/deployed.js'
import { echoAttempts } from './support/exchanges.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Cast, startMixed } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

/**
 * Cuts all links of a tunnel with a stream open, which its user goes on writing to, and waits until new streams pass.
 * In autonomy mode, servers of theirs keep a lost provider's connector tokens from itself: that is all there is to see.
 * @returns what came over each connection that the stream's target saw
 */
async function cutLinks(scene: Scene, deployed: Deployed, mode: Mode, cast: Cast): Promise<readonly string[]> {
  const { inFront, cut } = captureInFront(scene)
  const { socksPort, provider } = await startMixed(scene, deployed, mode, cast, { inFront })
  const received: string[] = []
  const target = await tcpTarget(scene, (socket) => {
    const index = received.push('') - 1
    socket.on('data', (chunk: Buffer) => {
      received[index] += chunk.toString()
      socket.write(chunk)
    })
  })
  const stream = await socksConnect(scene, socksPort, ['127.0.0.1', target])
  stream.write('first')
  await readBytes(stream, 5)
  cut()
  const writing = setInterval(() => stream.write('more'), 200)
  scene.own(() => clearInterval(writing))
  const echo = await echoTarget(scene)
  const works = echoAttempts(scene, socksPort, ['127.0.0.1', echo], 'works')
  const refused = () => provider instanceof LinksocksProcess && provider.events('connector.refused').length > 0
  await eventually('stream after the loss', () => works() ?? (refused() || undefined))
  await eventually(
    'end of the stream, or more of it',
    () => stream.destroyed || received.join() !== 'first' || undefined,
  )
  return received
}

for (const mode of MODES) {
  describeDeployed(`links that are lost in ${mode} mode`, (deployed) => {
    // programs since 1.10 may ask to resume a channel: who has forgotten it must not open it anew in mid-stream
    const lostForever = ({ server, provider }: Cast) =>
      mode === 'autonomy' && server === 'theirs' && provider === 'theirs'
    it.concurrent.for(named(mixedCasts(mode).filter((cast) => !lostForever(cast))))(
      'end their streams for good: %s',
      async ([, cast], context) => {
        expect(await cutLinks(ownScene(context), deployed, mode, cast)).toEqual(['first'])
      },
    )
  })
}

/** Channels that a client opened on a link, or ended there with an error. */
function channelsIn(link: CapturedLink, type: 3 | 6): readonly string[] {
  const idAt = type === 3 ? 3 : 2
  const messages = link.of('client').map(({ bytes }) => bytes)
  return messages.filter((raw) => raw[1] === type).map((raw) => raw.toString('hex', idAt, idAt + 16))
}

describeDeployed('a server that lost the link of a client of ours', (deployed) => {
  it('is told on the next one to end the stream, and ends it', async (context) => {
    const scene = ownScene(context)
    const { inFront, links, cut } = captureInFront(scene)
    const { socksPort } = await startMixed(
      scene,
      deployed,
      'forward',
      { server: 'theirs', listener: 'ours' },
      { inFront },
    )
    let closed = false
    const target = await tcpTarget(scene, (socket) => {
      socket.on('end', () => {
        closed = true
      })
      // read: without that its end is not seen
      socket.resume().write('hello')
    })
    await readBytes(await socksConnect(scene, socksPort, ['127.0.0.1', target]), 5)
    const before = links().length
    cut()
    const again = await eventually('link after the loss', () => links().at(before))
    const told = await eventually('Disconnect of the stream', () => channelsIn(again, 6).at(0))
    expect(
      links()
        .slice(0, before)
        .flatMap((link) => channelsIn(link, 3)),
    ).toContain(told)
    await eventually('end of the connection to the target', () => closed || undefined)
  })
})
