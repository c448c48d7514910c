import { describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../src/node/options.js'
import { run } from './harness.js'

type Env = Record<string, string>

const D = ['--data-dir', 'd']
const A = [...D, '--acme-domain', 'a.test']

const OPTIONS: readonly (readonly [argv: readonly string[], env: Env, expected: Partial<ServerOptions>])[] = [
  [A, {}, { acme: { domains: ['a.test'], email: undefined, directory: undefined, httpListen: undefined } }],
  [[...A, '--acme-domain', 'B.Test'], {}, { acme: { domains: ['a.test', 'b.test'] } }],
  [D, { LINKSOCKS_ACME_DOMAIN: 'a.test b.test' }, { acme: { domains: ['a.test', 'b.test'] } }],
  [A, { LINKSOCKS_ACME_DOMAIN: 'b.test' }, { acme: { domains: ['a.test'] } }],
  [[...A, '--acme-email', 'a@b.test'], {}, { acme: { domains: ['a.test'], email: 'a@b.test' } }],
  [[...A, '--acme-directory', 'https://ca.test'], {}, { acme: { domains: ['a.test'], directory: 'https://ca.test/' } }],
  [
    D,
    { LINKSOCKS_ACME_DOMAIN: 'a.test', LINKSOCKS_ACME_EMAIL: 'a@b.test', LINKSOCKS_ACME_DIRECTORY: 'https://ca.test' },
    { acme: { domains: ['a.test'], email: 'a@b.test', directory: 'https://ca.test/' } },
  ],
  [[...A, '--acme-http-listen', 'none'], {}, { acme: { domains: ['a.test'], httpListen: false } }],
  [
    [...A, '--acme-http-listen', '[::]:80'],
    {},
    { acme: { domains: ['a.test'], httpListen: { host: '::', port: 80 } } },
  ],
]

const REFUSALS: readonly (readonly [argv: readonly string[], env: Env, line: RegExp])[] = [
  [['--acme-domain', 'a.test'], {}, /^--acme-domain: needs --data-dir, where account and certificates are kept$/],
  [[], { LINKSOCKS_ACME_DOMAIN: 'a.test' }, /^LINKSOCKS_ACME_DOMAIN: needs --data-dir/],
  [[...A, '--acme-domain', 'A.test'], {}, /^--acme-domain: each name once$/],
  [
    [...D, ...Array.from({ length: 33 }, (_, index) => ['--acme-domain', `a${index}.test`]).flat()],
    {},
    /^--acme-domain: at most 32 names$/,
  ],
  [[...D, '--acme-email', 'a@b.test'], {}, /^--acme-email: needs --acme-domain$/],
  [[...D, '--acme-directory', 'https://ca.test'], {}, /^--acme-directory: needs --acme-domain$/],
  [[...D, '--acme-http-listen', 'none'], {}, /^--acme-http-listen: needs --acme-domain$/],
  [
    [...D, '--acme-domain', '*.a.test'],
    {},
    /^--acme-domain: must be a host name without a wildcard, .*not '\*\.a\.test'$/,
  ],
  [[...A, '--acme-email', 'a@b?c'], {}, /^--acme-email: must be a mail address/],
  [[...A, '--acme-directory', 'http://ca.test'], {}, /^--acme-directory: must be an https:\/\/ URL$/],
  [[...A, '--acme-directory', 'https://ann:hunter2@ca.test'], {}, /^--acme-directory: ((?!hunter2).)*$/],
  [[...A, '--acme-http-listen', 'x'], {}, /^--acme-http-listen: /],
  [
    [...A, '--listen', 'ws://127.0.0.1:80'],
    {},
    /^--acme-domain: needs an address with TLS: --listen wss:\/\/HOST:PORT$/,
  ],
]

describe('linksocks server with certificates by themselves', () => {
  it.each(OPTIONS)('asks the library for what %j with %j say', async (argv, env, expected) => {
    const { code, fake, io } = await run(['server', '-t', 'tok', ...argv], env)
    expect(io.err).not.toContain('linksocks:')
    expect(code).toBe(0)
    expect(fake.server).toMatchObject(expected)
  })

  it.each(REFUSALS)('refuses %j with %j', async (argv, env, line) => {
    const { code, io, fake } = await run(['server', '-t', 'tok', ...argv], env)
    expect([code, fake.calls, io.lines.length]).toEqual([2, [], 1])
    expect(io.lines[0]?.slice('linksocks: '.length)).toMatch(line)
  })

  it.each([
    '',
    'a',
    'a.test.',
    '10.0.0.1',
    '-a.test',
    'a_b.test',
    'a..test',
    'ä.test',
    `${'a'.repeat(64)}.test`,
    `${'a.'.repeat(125)}test`,
  ])('refuses %s for a name', async (name) => {
    const { code, io } = await run(['server', '-t', 'tok', ...D, '--acme-domain', name])
    expect(code).toBe(2)
    expect(io.err).toMatch(/^linksocks: --acme-domain: must be a host name such as relay\.example\.com/)
  })
})
