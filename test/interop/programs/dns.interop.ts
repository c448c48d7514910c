import { beforeAll, describe, expect, it } from 'vitest'
import { sceneOfSuite } from '../../support/e2e/scene.js'
import { dnsServer, resolveByTcp, UdpResolver, type Zone } from '../support/programs/dns.js'
import { ProgramTunnel } from '../support/programs/tunnel.js'

/** What a resolver offers by EDNS at most, as a rule. */
const UDP_LIMIT = 4_096
const addresses = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `10.${index >> 8}.${index & 255}.7`)
const HOSTS = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`host-${index}.test`, [`10.9.8.${index}`]]))
const ZONE: Zone = {
  ...HOSTS,
  // header and question take some 30 bytes: 254 records fill 4 KiB, one more does not fit
  'large.test': addresses(254),
  'too-large.test': addresses(255),
}

describe.each(['forward', 'agent'] as const)('DNS in %s mode', (mode) => {
  const scene = sceneOfSuite()
  let tunnel: ProgramTunnel
  let port = 0
  beforeAll(async () => {
    port = await dnsServer(scene, ZONE, UDP_LIMIT)
    tunnel = await ProgramTunnel.start(scene, mode)
  })
  const resolver = (host = '127.0.0.1') => UdpResolver.open(scene, tunnel.socksPort, [host, port])

  it('looks up a name by UDP', async () => {
    const answer = await (await resolver()).resolve('host-42.test')
    expect(answer).toMatchObject({ name: 'host-42.test', rcode: 0, addresses: ['10.9.8.42'] })
  })

  it('asks a server by its name', async () => {
    const answer = await (await resolver('localhost')).resolve('host-7.test')
    expect(answer.addresses).toEqual(['10.9.8.7'])
  })

  it('is told that a name is not there', async () => {
    expect(await (await resolver()).resolve('nobody.test')).toMatchObject({ rcode: 3, addresses: [] })
  })

  it('has 100 queries in flight, and each gets its own answer', async () => {
    const udp = await resolver()
    const answers = await Promise.all(Object.keys(HOSTS).map((name) => udp.resolve(name)))
    expect(Object.fromEntries(answers.map((answer) => [answer.name, answer.addresses]))).toEqual(HOSTS)
  })

  it('receives an answer of 4 KiB whole', async () => {
    const answer = await (await resolver()).resolve('large.test')
    expect(answer.size).toBeGreaterThan(UDP_LIMIT - 16)
    expect(answer.addresses).toEqual(ZONE['large.test'])
  })

  it('asks again by TCP what is too large for UDP', async () => {
    expect(await (await resolver()).resolve('too-large.test')).toMatchObject({ truncated: true, addresses: [] })
    const [answer] = await resolveByTcp(scene, tunnel.socksPort, ['127.0.0.1', port], ['too-large.test'])
    expect(answer).toMatchObject({ truncated: false, addresses: ZONE['too-large.test'] })
    await tunnel.carried(`127.0.0.1:${port}`)
  })

  it('asks for 100 names on one TCP connection', async () => {
    const answers = await resolveByTcp(scene, tunnel.socksPort, ['localhost', port], Object.keys(HOSTS))
    expect(Object.fromEntries(answers.map((answer) => [answer.name, answer.addresses]))).toEqual(HOSTS)
  })
})
