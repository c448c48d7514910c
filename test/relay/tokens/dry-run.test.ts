import { describe, expect, it } from 'vitest'
import type { TokenPolicy } from '../../../src/policy-fields.js'
import type { DryRunResult } from '../../../src/relay/tokens/dry-run.js'
import type { TokenSpec } from '../../../src/relay/tokens/token-spec.js'
import { World } from '../world.js'

const NAMES: TokenPolicy = {
  egress: [
    { action: 'deny', hosts: ['*.corp.example'], ports: [22] },
    { action: 'allow', hosts: ['*.example'] },
  ],
}
const ADDRESSES: TokenPolicy = {
  egress: [
    { action: 'deny', hosts: ['@private'] },
    { action: 'allow', ports: [443], protocol: 'tcp' },
  ],
}

async function tokens(world: World, ...specs: readonly TokenSpec[]): Promise<readonly string[]> {
  const ids: string[] = []
  for (const spec of specs) ids.push((await world.relay.addToken(spec)).id)
  return ids
}

/** `host port [udp]` */
function asked(text: string) {
  const [host = '', port, protocol = 'tcp'] = text.split(' ')
  return { target: { host, port: Number(port) }, protocol: protocol as 'tcp' | 'udp' }
}

async function verdict(spec: TokenSpec, text: string, policy?: TokenPolicy | null): Promise<DryRunResult> {
  const world = new World()
  const [id = ''] = await tokens(world, spec)
  const { tokenId, ...result } = world.relay.dryRun(id, { ...asked(text), policy })
  expect(tokenId === undefined || tokenId === id).toBe(true)
  return result
}

const allow = (reason: string, rule?: number) => ({ result: 'allow', rule, reason })
const deny = (reason: string, rule?: number) => ({ result: 'deny', rule, reason })
const DEPENDS = {
  'the server': 'depends on the addresses of the name, which the server looks up',
  'the provider': 'depends on the provider: it looks the name up, and judges its addresses',
}
const depends = (exit: keyof typeof DEPENDS) => ({ result: 'depends', reason: DEPENDS[exit] })

describe('the dry run of a token', () => {
  it.each<[TokenPolicy | undefined, string, object]>([
    [undefined, 'a.example 443', allow('no rule of a policy and no access rule speaks of it')],
    [{ maxStreams: 0 }, 'a.example 443', allow('no rule of a policy and no access rule speaks of it')],
    [NAMES, 'a.example 443', allow('rule 2 of its policy allows it', 2)],
    [NAMES, 'a.corp.example 443', allow('rule 2 of its policy allows it', 2)],
    [NAMES, 'a.corp.example 22', deny('rule 1 of its policy denies it', 1)],
    [NAMES, 'a.test 443', deny('no rule of its policy speaks of it, and its default denies it')],
    [
      { ...NAMES, egressDefault: 'allow' },
      'a.test 1',
      allow('no rule of its policy speaks of it, and its default allows it'),
    ],
    [NAMES, '192.0.2.1 443', deny('no rule of its policy speaks of it, and its default denies it')],
    [ADDRESSES, '10.0.0.1 443', deny('rule 1 of its policy denies it', 1)],
    [ADDRESSES, '0xa000001 443', deny('rule 1 of its policy denies it', 1)],
    [ADDRESSES, '::ffff:10.0.0.1 443', deny('rule 1 of its policy denies it', 1)],
    [ADDRESSES, '192.0.2.1 443', allow('rule 2 of its policy allows it', 2)],
    [ADDRESSES, '192.0.2.1 443 udp', deny('no rule of its policy speaks of it, and its default denies it')],
    [ADDRESSES, 'a.example 443', depends('the server')],
    [
      { egress: [{ action: 'allow' }] },
      '169.254.169.254 80',
      deny('the built-in policy of exits refuses it: link-local address'),
    ],
    [undefined, '224.0.0.1 80 udp', deny('the built-in policy of exits refuses it: multicast address')],
  ])('by %j about %s', async (policy, text, expected) => {
    expect(await verdict({ type: 'forward', policy }, text)).toEqual(expected)
  })

  it('asks both tokens of a connector, and names the one that decides', async () => {
    const world = new World()
    const [reverse = '', own = '', bare = ''] = await tokens(
      world,
      { type: 'reverse', token: 'tenant', policy: ADDRESSES, rules: [{ ports: [1] }] },
      { type: 'connector', reverseToken: 'tenant', policy: NAMES },
      { type: 'connector', reverseToken: 'tenant' },
    )
    const dryRun = (id: string, text: string) => world.relay.dryRun(id, asked(text))
    expect(dryRun(own, 'a.test 443')).toMatchObject({ result: 'deny', tokenId: own })
    expect(dryRun(own, 'a.example 80')).toMatchObject({ result: 'deny', tokenId: reverse })
    expect(dryRun(own, 'a.example 443')).toEqual({ ...depends('the provider'), tokenId: reverse })
    const denied = { tokenId: reverse, ...deny('rule 1 of the policy of its reverse token denies it', 1) }
    expect(dryRun(bare, '10.0.0.1 443')).toEqual(denied)
    // the rules of the reverse token are for its SOCKS port alone
    expect(dryRun(bare, '192.0.2.1 443')).toMatchObject({ result: 'allow', rule: 2, tokenId: reverse })
  })

  it('asks the access rules beside the policy: both must allow', async () => {
    const rules = [{ addresses: ['192.0.2.0/24'], ports: [443, [8_000, 8_999] as const] }, { ports: [53] }]
    const spec = { type: 'forward', rules } as const
    const refused = deny('none of its access rules allows it')
    expect(await verdict(spec, '192.0.2.1 8500')).toEqual(allow('its access rules allow it'))
    expect(await verdict(spec, '192.0.2.1 9000')).toEqual(refused)
    expect(await verdict(spec, 'a.example 9000')).toEqual(refused)
    expect(await verdict(spec, 'a.example 53')).toEqual(allow('its access rules allow it'))
    expect(await verdict(spec, 'a.example 443')).toEqual(depends('the server'))
    expect(await verdict({ ...spec, policy: NAMES }, 'a.test 443')).toMatchObject({ result: 'deny' })
    expect(await verdict({ ...spec, policy: NAMES }, 'a.example 1')).toEqual(refused)
  })

  it('asks the rules of the server where they hold', async () => {
    const world = new World()
    const [forward = '', office = '', own = '', guest = '', homes = ''] = await tokens(
      world,
      { type: 'forward' },
      { type: 'reverse', token: 'office' },
      { type: 'reverse', rules: [{ ports: [443] }] },
      { type: 'connector', reverseToken: 'office' },
      { type: 'reverse', allowManageConnector: true },
    )
    const dryRun = (id: string, text: string) => world.relay.dryRun(id, asked(text)).result
    await world.relay.changeAccess({ dial: [{ ports: [22] }], entry: [{ ports: [80] }] })
    const reason = 'none of the access rules of the server allows it'
    expect(world.relay.dryRun(forward, asked('a.example 80'))).toEqual(deny(reason))
    expect([dryRun(forward, 'a.example 22'), dryRun(office, 'a.example 22')]).toEqual(['allow', 'deny'])
    expect([dryRun(office, 'a.example 80'), dryRun(own, 'a.example 80')]).toEqual(['allow', 'deny'])
    expect([dryRun(own, 'a.example 443'), dryRun(guest, 'a.example 1'), dryRun(homes, 'a.example 1')]).toEqual(
      Array<string>(3).fill('allow'),
    )
  })

  it('judges by a policy in place of its own, and leaves that as it is', async () => {
    const spec = { type: 'forward', token: 'laptop', policy: NAMES } as const
    expect(await verdict(spec, '10.0.0.1 443', ADDRESSES)).toEqual(deny('rule 1 of its policy denies it', 1))
    expect(await verdict(spec, 'a.test 1', {})).toEqual(allow('no rule of a policy and no access rule speaks of it'))
    expect(await verdict(spec, 'a.test 1', null)).toEqual(allow('no rule of a policy and no access rule speaks of it'))
    const world = new World()
    const [id = ''] = await tokens(world, spec)
    const wrong = { ...asked('a.test 1'), policy: { egress: [{ action: 'deny', hosts: ['@x'] } as const] } }
    expect(() => world.relay.dryRun(id, wrong)).toThrow(
      expect.objectContaining({
        code: 'ERR_TOKEN_INVALID',
        message: expect.stringContaining('policy: egress rule 1: there is no list "@x"'),
      }),
    )
    expect(world.relay.tokenInfo(id)?.policy).toEqual(NAMES)
  })

  it('is none for a token that is not there', () => {
    expect(() => new World().relay.dryRun('0'.repeat(24), asked('a 1'))).toThrow(
      expect.objectContaining({ code: 'ERR_TOKEN_NOT_FOUND' }),
    )
  })
})
