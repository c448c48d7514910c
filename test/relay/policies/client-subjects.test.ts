import { describe, expect, it } from 'vitest'
import { MAX_FAILURES } from '../../../src/inbound/failed-attempts.js'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import { MessageType } from '../../../src/protocol/messages.js'
import { countOf, idOf, joinResumable, lose, wentOn } from '../admission/resume-peers.js'
import { type JoinOptions, type Peer, uuid, World } from '../world.js'

const ANN = 'CN=ann,O=Example'
const BOB = 'CN=bob,O=Example'
const ONLY_ANN: TokenPolicy = { clientSubjects: [ANN] }
/** Others than {@link ANN}, and none at all. */
const OTHERS: readonly (string | undefined)[] = [undefined, '', BOB, 'CN=ann', 'cn=ann,o=example', `${ANN},C=DE`]

async function world(policy?: TokenPolicy, reversePolicy?: TokenPolicy): Promise<World> {
  const made = new World()
  await made.relay.addToken({ type: 'forward', token: 'forward', policy })
  await made.relay.addToken({ type: 'reverse', token: 'tenant', policy: reversePolicy })
  await made.relay.addToken({ type: 'connector', token: 'member', reverseToken: 'tenant', policy })
  return made
}

const set = async ({ relay, clock }: World, token: string, clientSubjects: readonly string[] | null): Promise<void> => {
  await relay.changeToken(relay.tokenId(token) ?? '', { policy: { clientSubjects } })
  await clock.advanceAsync(2_000)
}

const admitted = (peer: Peer): boolean => peer.of(MessageType.AuthResponse)[0]?.success === true
const answer = (peer: Peer): string | undefined => peer.of(MessageType.AuthResponse)[0]?.error
const withSubject = (subject: string | undefined, more: JoinOptions = {}): JoinOptions => ({ subject, ...more })
const subjects = ({ relay }: World): readonly (string | undefined)[] => relay.clients().map(({ subject }) => subject)
const refusals = ({ relay }: World): number => relay.statistics.policyRefusals.subjects

describe('the client subjects of a policy', () => {
  it.each([false, true])(
    'let clients in by their certificate alone, and say no more than of a wrong token (in band: %s)',
    async (inBand) => {
      const made = await world(ONLY_ANN)
      const wrong = await made.join('no such token', withSubject(ANN, { inBand }))
      for (const token of ['forward', 'member']) {
        expect(admitted(await made.join(token, withSubject(ANN, { inBand })))).toBe(true)
        // each from its own address: one that fails often would have to wait
        for (const [at, subject] of OTHERS.entries()) {
          const strange = await made.join(token, withSubject(subject, { inBand, address: `198.51.100.${at}` }))
          expect([answer(strange), strange.closed]).toEqual(['invalid token', wrong.closed])
        }
      }
      expect([answer(wrong), refusals(made)]).toEqual(['invalid token', 2 * OTHERS.length])
      expect(subjects(made)).toEqual([ANN, ANN])
    },
  )

  it('take any of several, and are not asked for where a policy names none', async () => {
    const made = await world({ clientSubjects: [ANN, BOB] }, { maxStreams: 5 })
    for (const subject of [ANN, BOB]) expect(admitted(await made.join('forward', withSubject(subject)))).toBe(true)
    for (const subject of OTHERS) {
      expect(admitted(await made.join('tenant', withSubject(subject || undefined, { reverse: true })))).toBe(true)
    }
  })

  it('count against the address, as a wrong token does', async () => {
    const made = await world(ONLY_ANN)
    const tries: Peer[] = []
    for (let count = 0; count <= MAX_FAILURES; count += 1) tries.push(await made.join('forward', withSubject(BOB)))
    await made.clock.advanceAsync(5_000)
    expect(answer(tries[0] as Peer)).toBe('invalid token')
    expect(answer(tries.at(-1) as Peer)).toBe('too many failed attempts, try again later')
    expect(admitted(await made.join('forward', withSubject(ANN)))).toBe(true)
  })

  it('are told of by an event and a line of the log, with the certificate, or from where if there is none', async () => {
    const made = await world(ONLY_ANN)
    const tokenId = made.relay.tokenId('forward')
    const told = (): unknown =>
      made.relay.events
        .after(0)
        ?.flatMap(({ event }) => ('count' in event ? [event] : []))
        .at(-1)
    const refused = { type: 'policy.refused', tokenId, reason: 'subjects', rule: undefined, count: 1 }
    await made.join('forward', withSubject(`${BOB}\u202e`))
    expect(told()).toEqual({ ...refused, subject: `${BOB}\\u{202e}` })
    await made.clock.advanceAsync(2_000)
    await made.join('forward', { address: '198.51.100.7' })
    expect(told()).toEqual({ ...refused, subject: '198.51.100.7' })
    expect(made.lines.filter(({ event }) => event === 'policy.refused')).toHaveLength(2)
  })

  it('are judged after the sources', async () => {
    const made = await world({ ...ONLY_ANN, sources: ['203.0.113.9'] })
    await made.join('forward', withSubject(BOB, { address: '198.51.100.1' }))
    expect([made.relay.statistics.policyRefusals.sources, refusals(made)]).toEqual([1, 0])
    await made.join('forward', withSubject(BOB, { address: '203.0.113.9' }))
    expect([made.relay.statistics.policyRefusals.sources, refusals(made)]).toEqual([1, 1])
  })

  it('leave those who have another certificate the places of nobody', async () => {
    const made = await world({ ...ONLY_ANN, maxClients: 1 })
    await made.join('forward', withSubject(ANN, { instance: uuid(), extensions: true }))
    const query = made.query('forward', { instance: uuid(), extensions: true })
    const hasRoom = (subject: string): boolean => made.relay.hasRoom(query, { address: '192.0.2.1', subject })
    // the WebSocket may be opened, and is told that the token is invalid there
    expect([hasRoom(ANN), hasRoom(BOB)]).toEqual([false, true])
    expect(made.relay.statistics.policyRefusals).toMatchObject({ clients: 1, subjects: 0 })
  })
})

describe('a session', () => {
  it.each([BOB, undefined])('does not go on with the certificate %s in place of its own', async (other) => {
    const made = await world(ONLY_ANN)
    const first = await joinResumable(made, 'forward', { subject: ANN })
    await lose(first)
    const again = { id: idOf(first), received: countOf(first) }
    expect(answer(await joinResumable(made, 'forward', { ...again, subject: other }))).toBe('invalid token')
    expect(refusals(made)).toBe(1)
    expect(wentOn(await joinResumable(made, 'forward', { ...again, subject: ANN }))).toBe(true)
    expect(subjects(made)).toEqual([ANN])
  })

  it('is judged by the certificate it had last', async () => {
    const made = await world({ clientSubjects: [ANN, BOB] })
    const first = await joinResumable(made, 'forward', { subject: BOB })
    await lose(first)
    const back = await joinResumable(made, 'forward', { id: idOf(first), received: countOf(first), subject: ANN })
    expect([wentOn(back), subjects(made)]).toEqual([true, [ANN]])
    await set(made, 'forward', [ANN])
    expect([back.closed, subjects(made)]).toEqual([undefined, [ANN]])
    await set(made, 'forward', [BOB])
    expect([back.closed !== undefined, subjects(made)]).toEqual([true, []])
  })
})

describe('client subjects that change', () => {
  it('end links with another certificate or none, and suspended sessions, which do not come back', async () => {
    const made = await world()
    const [ann, bob, nobody] = [
      await made.join('forward', withSubject(ANN)),
      await made.join('forward', withSubject(BOB)),
      await made.join('forward'),
    ]
    const away = [
      await joinResumable(made, 'forward', { subject: BOB }),
      await joinResumable(made, 'forward'),
      await joinResumable(made, 'forward', { subject: ANN }),
    ] as const
    await lose(...away)
    await set(made, 'forward', [ANN])
    expect([ann, bob, nobody].map(({ closed }) => closed !== undefined)).toEqual([false, true, true])
    expect([subjects(made), refusals(made)]).toEqual([[ANN, ANN], 4])
    const back = (peer: Peer) =>
      joinResumable(made, 'forward', { id: idOf(peer), received: countOf(peer), subject: ANN })
    expect([wentOn(await back(away[0])), wentOn(await back(away[1])), wentOn(await back(away[2]))]).toEqual([
      false,
      false,
      true,
    ])
  })

  it('let everybody in again once there are none', async () => {
    const made = await world(ONLY_ANN)
    const ann = await made.join('forward', withSubject(ANN))
    await set(made, 'forward', null)
    expect([ann.closed, admitted(await made.join('forward'))]).toEqual([undefined, true])
  })
})

describe('the client subjects of a reverse token', () => {
  it('bind its providers, and not its connectors', async () => {
    const made = await world(undefined, ONLY_ANN)
    const joins = [
      await made.join('tenant', withSubject(ANN, { reverse: true })),
      await made.join('tenant', withSubject(BOB, { reverse: true })),
      await made.join('tenant', { reverse: true }),
      await made.join('member', withSubject(BOB)),
      await made.join('member'),
    ]
    expect(joins.map(admitted)).toEqual([true, false, false, true, true])
  })

  it('leave those of a connector token as they are', async () => {
    const made = await world({ clientSubjects: [BOB] }, ONLY_ANN)
    const joins = [await made.join('member', withSubject(ANN)), await made.join('member', withSubject(BOB))]
    expect(joins.map(admitted)).toEqual([false, true])
  })

  it('end providers with another certificate when they change, suspended ones too, and no connector', async () => {
    const made = await world()
    const connector = await made.join('member', withSubject(BOB))
    const provider = await made.join('tenant', withSubject(BOB, { reverse: true }))
    const suspended = [
      await joinResumable(made, 'tenant', { reverse: true, subject: BOB }),
      await joinResumable(made, 'member'),
    ]
    await lose(...suspended)
    await set(made, 'tenant', [ANN])
    expect([provider.closed !== undefined, connector.closed]).toEqual([true, undefined])
    expect(made.relay.clients().map(({ role, state }) => [role, state])).toEqual([
      ['connector', 'connected'],
      ['connector', 'suspended'],
    ])
  })
})
