import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MODES, type Mode } from '../support/e2e/modes.js'
import { LinksocksProcess } from '../support/e2e/process.js'
import { type Scene, sha256 } from '../support/e2e/scene.js'
import { CONNECT, readBytes, socksConnect, socksRequest } from '../support/e2e/socks.js'
import { echoTarget, tcpTarget } from '../support/e2e/targets.js'
import { eventually } from '../support/wait.js'
import { type CapturedLink, captureInFront, type End } from './support/capture.js'
import { namesOf } from './support/captured-rules.js'
import type { Deployed } from './support/deployed.js'
import { echoed } from './support/exchanges.js'
import { readPartA } from './support/frames/part-a.js'
import { describeDeployed, mixedCasts, named } from './support/mixed.js'
import { type Cast, type MixedOptions, type MixedTunnel, type Side, startMixed } from './support/mixed-tunnel.js'
import { ownScene } from './support/own-scene.js'

/** What stands before the payload of Data with tcp. */
const DATA_HEAD_BYTES = 24
const EARLY = randomBytes(60_000)
const THREADS = [2, 4] as const
const CREDENTIALS = ['ann', 'open sesame'] as const

const isOurs = (cast: Cast) => ({ listener: cast.listener === 'ours', provider: cast.provider === 'ours' })

/** Flags for those clients that are ours. */
function forOurs(cast: Cast, args: readonly string[]): MixedOptions {
  const ours = isOurs(cast)
  return { ...(ours.listener && { listenerArgs: args }), ...(ours.provider && { providerArgs: args }) }
}

async function expectEcho(scene: Scene, { socksPort }: MixedTunnel, turns = 1): Promise<void> {
  const echo = await echoTarget(scene)
  const texts = Array.from({ length: turns }, (_, turn) => `through ${turn}`)
  const answers = texts.map((text) => echoed(scene, socksPort, ['127.0.0.1', echo], text))
  expect(await Promise.all(answers)).toEqual(texts)
}

/** Whether each link used the in-band form of authentication, by the side of its client. */
function forms(links: readonly CapturedLink[], cast: Cast): readonly string[] {
  const seen = links.map((link) => {
    const side = link.reverse ? cast.provider : cast.listener
    return `${side} ${link.auth === undefined ? 'URL' : 'in-band'}`
  })
  return [...new Set(seen)].sort()
}

function describeOption(
  what: string,
  casts: (mode: Mode) => readonly Cast[],
  cell: (scene: Scene, deployed: Deployed, mode: Mode, cast: Cast) => Promise<void>,
): void {
  for (const mode of MODES) {
    if (casts(mode).length === 0) continue
    describeDeployed(`${mode} mode`, (deployed) => {
      it.concurrent.for(named(casts(mode)))(`${what}: %s`, ([, cast], context) =>
        cell(ownScene(context), deployed, mode, cast),
      )
    })
  }
}

describe('authentication', () => {
  describeOption('is in-band below /socket/', mixedCasts, async (scene, deployed, mode, cast) => {
    const { inFront, links } = captureInFront(scene)
    await expectEcho(scene, await startMixed(scene, deployed, mode, cast, { inFront, path: '/socket/x' }))
    const sides = [cast.provider, cast.listener].filter((side) => side !== undefined)
    expect(forms(links(), cast)).toEqual([...new Set(sides)].sort().map((side) => `${side} in-band`))
  })

  const withOurClient = (mode: Mode) =>
    mixedCasts(mode).filter((cast) => cast.server === 'theirs' && Object.values(isOurs(cast)).includes(true))
  describeOption('is in-band with --auth-in-band', withOurClient, async (scene, deployed, mode, cast) => {
    const { inFront, links } = captureInFront(scene)
    const options = { inFront, ...forOurs(cast, ['--auth-in-band']) }
    await expectEcho(scene, await startMixed(scene, deployed, mode, cast, options))
    const theirs = [cast.provider, cast.listener].includes('theirs')
    expect(forms(links(), cast)).toEqual(['ours in-band', ...(theirs ? ['theirs URL'] : [])])
  })
})

/** A deployed server swallows Data that comes right behind a Connect: it reads the link on before it knows the channel. */
const losesEarlyData = ({ server, listener }: Cast): boolean => server === 'theirs' && listener === 'theirs'

describe('fast open', () => {
  const onAll = { listenerArgs: ['-f'], serverArgs: ['-f'], providerArgs: ['-f'] }
  const whole = (mode: Mode) => mixedCasts(mode).filter((cast) => !losesEarlyData(cast))
  describeOption('loses nothing at the start', whole, async (scene, deployed, mode, cast) => {
    const { socksPort, listener } = await startMixed(scene, deployed, mode, cast, onAll)
    const echo = await echoTarget(scene)
    for (let turn = 0; turn < 5; turn++) {
      const socket = await socksConnect(scene, socksPort, ['127.0.0.1', echo], { early: EARLY })
      expect(sha256(await readBytes(socket, EARLY.length))).toBe(sha256(EARLY))
      socket.destroy()
    }
    // ours knows better than to send early data through theirs
    if (listener instanceof LinksocksProcess) {
      if (cast.server === 'theirs') await listener.event('fastopen.off')
      expect(listener.events('fastopen.off')).toHaveLength(cast.server === 'theirs' ? 1 : 0)
    }
  })

  const lossy = (mode: Mode) => mixedCasts(mode).filter(losesEarlyData)
  describeOption('delivers what a server of theirs did not lose', lossy, async (scene, deployed, mode, cast) => {
    const { inFront, links } = captureInFront(scene)
    const { socksPort } = await startMixed(scene, deployed, mode, cast, { ...onAll, inFront })
    let arrived = 0
    const target = await tcpTarget(scene, (socket) => socket.on('data', (chunk) => (arrived += chunk.length)))
    for (let turn = 0; turn < 5; turn++) await socksConnect(scene, socksPort, ['127.0.0.1', target], { early: EARLY })
    const sent = () => dataBytes(links(), 'client')
    const passed = () => dataBytes(links(), 'server')
    const answered = () =>
      links()
        .flatMap((link) => namesOf(link, 'client'))
        .filter((name) => name === 'ConnectResponse')
    await eventually('early data of the client', () => sent() === 5 * EARLY.length || undefined)
    await eventually('answers of the provider', () => answered().length === 5 || undefined)
    const told = () => `arrival of ${passed()} bytes passed on, of ${sent()}; there are ${arrived}`
    await eventually(told, () => arrived === passed() || undefined)
    expect(passed()).toBeLessThanOrEqual(sent())
  })
})

/** Payload of the tcp Data that one end sent behind its Connect: on links of clients, or (server) of providers. */
function dataBytes(links: readonly CapturedLink[], from: End): number {
  let sum = 0
  const opened = new Set<string>()
  for (const { bytes } of links
    .filter((link) => link.reverse === (from === 'server'))
    .flatMap((link) => link.of(from))) {
    const { name, channel = '' } = readPartA(bytes)
    if (name === 'Connect') opened.add(channel)
    if (name === 'Data' && opened.has(channel)) sum += bytes.length - DATA_HEAD_BYTES
  }
  return sum
}

/** A deployed client has one link at a server of ours, as nothing tells those apart that mix them up. */
const isLimited = (side: Side, { server }: Cast): boolean => side === 'theirs' && server === 'ours'

/** All links that a client of ours, or at a server of theirs, asks for are there, and have been answered. */
const hasAll = (links: readonly CapturedLink[], threads: number): boolean =>
  links.filter((link) => link.open && link.of('server').length > 0).length === threads

/** One link has taken the place of another one at the second try, and from then on attempts are refused. */
const hasOne = (links: readonly CapturedLink[]): boolean => {
  const replaced = links.some((link) => link.refusal === undefined && !link.open)
  return replaced && links.filter(({ open }) => open).length === 1 && links.at(-1)?.refusal === 503
}

describe.each(THREADS)('%i threads', (threads) => {
  const onClients = { listenerArgs: ['-T', `${threads}`], providerArgs: ['-T', `${threads}`] }
  describeOption(
    'are as many links as the server lets in, all usable',
    mixedCasts,
    async (scene, deployed, mode, cast) => {
      const { inFront, links } = captureInFront(scene)
      const { listenerArgs, providerArgs } = onClients
      const options = { inFront, providerArgs, ...(mode !== 'reverse' && { listenerArgs }) }
      const tunnel = await startMixed(scene, deployed, mode, cast, options)
      for (const [name, side] of Object.entries({ provider: cast.provider, listener: cast.listener })) {
        if (side === undefined) continue
        const own = () => links().filter(({ reverse }) => reverse === (name === 'provider'))
        const settled = () => (isLimited(side, cast) ? hasOne(own()) : hasAll(own(), threads))
        await eventually(`links of the ${name}`, () => settled() || undefined)
      }
      await expectEcho(scene, tunnel, 24)
    },
  )
})

describe('4 threads in-band', () => {
  const theirs = (mode: Mode) =>
    mixedCasts(mode).filter((cast) => cast.server === 'ours' && [cast.provider, cast.listener].includes('theirs'))
  // their releases before 1.10.2 say which they are
  describeOption('are four links of each client', theirs, async (scene, deployed, mode, cast) => {
    const { inFront, links } = captureInFront(scene)
    const threads = ['-T', '4']
    const options = {
      inFront,
      path: '/socket/x',
      providerArgs: threads,
      ...(mode !== 'reverse' && { listenerArgs: threads }),
    }
    const tunnel = await startMixed(scene, deployed, mode, cast, options)
    const sides = [cast.provider, cast.listener].filter((side) => side !== undefined)
    await eventually('links', () => hasAll(links(), 4 * sides.length) || undefined)
    await expectEcho(scene, tunnel, 24)
  })
})

describe('user name and password', () => {
  const [username, password] = CREDENTIALS
  const listenerArgs = ['-n', username, '-w', password]
  // the port is the listener's own: whatever is behind it
  const casts = (mode: Mode) =>
    mode === 'autonomy' ? [] : mixedCasts(mode).filter(({ provider }) => provider !== 'theirs')
  describeOption('are asked for', casts, async (scene, deployed, mode, cast) => {
    const { socksPort } = await startMixed(scene, deployed, mode, cast, { listenerArgs })
    const target = ['127.0.0.1', await echoTarget(scene)] as const
    expect(await echoed(scene, socksPort, target, 'right', { credentials: CREDENTIALS })).toBe('right')
    const wrong = socksRequest(scene, socksPort, CONNECT, target, { credentials: [username, 'wrong'] })
    await expect(wrong).rejects.toThrow(/authentication failed|ended before/)
    await expect(socksRequest(scene, socksPort, CONNECT, target)).rejects.toThrow(/method 255|method 2|ended before/)
  })
})
