import type { Socket } from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import type { Mode } from '../../../support/e2e/modes.js'
import { type Scene, sceneOfSuite } from '../../../support/e2e/scene.js'
import { socksConnect } from '../../../support/e2e/socks.js'
import { eventually } from '../../../support/wait.js'
import { describeCasts } from '../matrix.js'
import { tap } from '../message-tap.js'
import { type Cast, type MixedTunnel, startMixed } from '../mixed-tunnel.js'
import {
  type Cell,
  checkBulk,
  checkDatagrams,
  checkManyStreams,
  checkReplies,
  checkSlowReaders,
  checkTargets,
} from './checks.js'
import { type Ending, endedByApplication, endedByTarget } from './endings.js'
import { rolesOf } from './roles.js'
import { socketCount } from './targets.js'

/** Theirs work off ends four at a time, and take 5 s for each; old peers are given 5 s to end a stream in order. */
const LATE_MS = 120_000
/** Streams of the last check may still be at that. */
const LINGERING = 2
const GZIP = 1

/** Sends all kinds of traffic through every cast of a mode, for every deployed program. */
export function describeTraffic(mode: Mode): void {
  describeCasts(mode, (deployed, cast) => {
    const scene = sceneOfSuite()
    const roles = rolesOf(mode, cast)
    let started: MixedTunnel | undefined
    let gzipBytes = 0
    const tunnel = (): MixedTunnel => {
      if (started === undefined) throw new Error('the tunnel did not start')
      return started
    }
    const socksPort = (): number => tunnel().socksPort
    const open: Cell['open'] = (own, port, host = '127.0.0.1') => socksConnect(own, socksPort(), [host, port])
    const cell: Cell = { roles, socksPort, open, gzipBytes: () => gzipBytes }
    const watched = (port: number): Promise<string> =>
      tap(scene, port, ({ from, compression, length }) => {
        if (from === 'client' && compression === GZIP) gzipBytes += length
      })

    beforeAll(async () => {
      const compressed = roles.gzip.down || roles.gzip.up
      started = await startMixed(scene, deployed, mode, cast, compressed ? { inFront: watched } : {})
    })
    const checkEndings = beginEndings(scene, cell)
    const checkLeftovers = countOurSockets(cast, tunnel)
    checkTargets(cell)
    checkDatagrams(cell)
    checkReplies(cell)
    checkManyStreams(cell)
    checkSlowReaders(cell)
    checkBulk(cell)
    checkEndings()
    checkLeftovers()
  })
}

/** Lets two streams end; what is returned looks what became of it later, for theirs take their time. */
function beginEndings(scene: Scene, { roles, open }: Cell): () => void {
  let [atApplication, atTarget]: (Ending | undefined)[] = []
  beforeAll(async () => {
    const openTo = (port: number): Promise<Socket> => open(scene, port)
    atApplication = await endedByTarget(scene, openTo)
    atTarget = await endedByApplication(scene, openTo)
  })
  return () => {
    it(
      'tells the application that the target has ended',
      async () => {
        await atApplication?.learn()
      },
      LATE_MS,
    )

    if (roles.deviations.losesEnd) {
      it('never tells the target that the application has ended: their relay sends that back', () => {
        expect(atTarget?.known).toBe(false)
        atTarget?.end()
      })
    } else {
      it(
        'tells the target that the application has ended',
        async () => {
          await atTarget?.learn()
        },
        LATE_MS,
      )
    }
  }
}

/** Counts the sockets of our programs; what is returned counts again later. */
function countOurSockets(cast: Cast, tunnel: () => MixedTunnel): () => void {
  const ours = (['server', 'provider', 'listener'] as const).filter((role) => cast[role] === 'ours')
  const counts = (): readonly number[] => ours.map((role) => socketCount(tunnel()[role]?.pid ?? 0))
  let before: readonly number[] = []
  beforeAll(() => {
    before = counts()
  })
  if (ours.length === 0) return () => {}
  return () => {
    it(
      'leaves nothing of all that behind in our programs',
      async () => {
        const left = (): readonly number[] => counts().map((count, index) => count - (before[index] ?? 0))
        const few = (): true | undefined => left().every((count) => count <= LINGERING) || undefined
        await eventually('end of all streams', few).catch((error: Error) => {
          throw new Error(`${error.message}: ${ours} have ${left()} sockets more than at first`)
        })
      },
      LATE_MS,
    )
  }
}
