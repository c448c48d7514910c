import { randomFillSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it, vi } from 'vitest'
import { sceneOfSuite, sha256 } from '../../support/e2e/scene.js'
import { type LocalCa, localCa } from '../support/programs/ca.js'
import { GIT_ENV, gitHttpListener, gitRepository } from '../support/programs/git.js'
import { contentListener, type Origin, origin } from '../support/programs/origin.js'
import { describeWith, folder, output, run } from '../support/programs/programs.js'
import { carriedAll, ProgramTunnel } from '../support/programs/tunnel.js'

// a test runs several programs, and each of them has a limit of its own
vi.setConfig({ testTimeout: 120_000 })

const content = randomFillSync(Buffer.alloc(8 * 1024 * 1024))
const digest = sha256(content)
const LOGIN = ['ann', 'open sesame'] as const
const PASSWORD = ['-n', LOGIN[0], '-w', LOGIN[1]]

describeWith(['wget', 'openssl'], 'wget by HTTP', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let http: Origin
  let https: Origin
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    ca = await localCa(scene)
    http = await origin(scene, contentListener(content))
    https = await origin(scene, contentListener(content), ca)
    tunnel = await ProgramTunnel.start(scene, 'agent', { listenerArgs: PASSWORD })
  })
  const wget = (password: string | undefined, ...args: readonly string[]): readonly string[] => [
    ...['wget', '-nv', '-t', '1', '-T', '60', '-O', '-', `--ca-certificate=${ca.caFile}`],
    ...['-e', 'use_proxy=on', '-e', `http_proxy=${tunnel.address}`, '-e', `https_proxy=${tunnel.address}`],
    ...(password === undefined ? [] : [`--proxy-user=${LOGIN[0]}`, `--proxy-password=${password}`]),
    ...args,
  ]
  const urlOf = (scheme: 'http' | 'https', path: string): string =>
    `${scheme}://localhost:${(scheme === 'http' ? http : https).port}${path}`

  it.each(['http', 'https'] as const)('brings 8 MB down by %s', async (scheme) => {
    expect(sha256(await output(scene, wget(LOGIN[1], urlOf(scheme, '/'))))).toBe(digest)
  })

  it.each(['http', 'https'] as const)('posts 8 MB by %s', async (scheme) => {
    const file = join(folder(scene), 'content')
    writeFileSync(file, content)
    const told = await output(scene, wget(LOGIN[1], `--post-file=${file}`, urlOf(scheme, '/post')))
    expect(told.toString()).toBe(digest)
  })

  it('fetches many pages on one connection', async () => {
    const before = http.connections()
    const urls = Array.from({ length: 20 }, (_, index) => urlOf('http', `/hello/${index}.`))
    const pages = await output(scene, wget(LOGIN[1], ...urls))
    expect(pages.toString()).toBe(urls.map((_, index) => `hello ${index}.`).join(''))
    expect(http.connections() - before).toBe(1)
  })

  it.each([
    ['a wrong password', 'wrong'],
    ['none', undefined],
  ])('is refused with %s', async (_name, password) => {
    const before = http.connections() + https.connections()
    for (const scheme of ['http', 'https'] as const) {
      const { code, stdout, stderr } = await run(scene, wget(password, urlOf(scheme, '/')))
      expect(stderr).toContain('Proxy Authentication Required')
      expect([code === 0, stdout.length]).toEqual([false, 0])
    }
    expect(http.connections() + https.connections()).toBe(before)
  })

  it('made every connection to the origins through the tunnel', async () => {
    await carriedAll([tunnel], [`localhost:${http.port}`], http.connections)
    await carriedAll([tunnel], [`localhost:${https.port}`], https.connections)
  })
})

describeWith(['git', 'openssl'], 'git over HTTP', () => {
  const scene = sceneOfSuite()
  let ca: LocalCa
  let served: { readonly path: string; readonly head: string }
  let tunnel: ProgramTunnel
  beforeAll(async () => {
    ca = await localCa(scene)
    served = await gitRepository(scene)
    tunnel = await ProgramTunnel.start(scene, 'forward')
  })

  it.each([
    ['http', 'http'],
    ['https', 'http'],
    ['http', 'socks4a'],
  ] as const)('clones by %s, pushes and fetches, with http.proxy=%s', async (scheme, proxy) => {
    const at = await origin(scene, gitHttpListener(served.path), scheme === 'https' ? ca : undefined)
    const copy = folder(scene)
    const through = ['-c', `http.proxy=${proxy}://${tunnel.address}`, '-c', `http.sslCAInfo=${ca.caFile}`]
    const git = async (cwd: string, ...args: readonly string[]): Promise<string> =>
      (await output(scene, ['git', ...through, ...args], { cwd, env: GIT_ENV })).toString().trim()

    await git(copy, 'clone', '-q', `${scheme}://localhost:${at.port}/.git`, '.')
    expect(await git(copy, 'rev-parse', 'HEAD')).toBe(await git(served.path, 'rev-parse', 'HEAD'))

    const branch = `${scheme}-by-${proxy}`
    // more than what git sends with a length
    writeFileSync(join(copy, branch), content.subarray(0, 3 * 1024 * 1024))
    await git(copy, 'add', '.')
    await git(copy, 'commit', '-q', '-m', 'pushed')
    await git(copy, 'push', '-q', 'origin', `HEAD:refs/heads/${branch}`)
    expect(await git(served.path, 'rev-parse', branch)).toBe(await git(copy, 'rev-parse', 'HEAD'))

    await git(served.path, 'commit', '-q', '--allow-empty', '-m', `after ${branch}`)
    await git(copy, 'fetch', '-q', 'origin', 'main')
    expect(await git(copy, 'rev-parse', 'FETCH_HEAD')).toBe(await git(served.path, 'rev-parse', 'main'))
    await git(served.path, 'fsck', '--full', '--strict')
    await carriedAll([tunnel], [`localhost:${at.port}`], at.connections)
  })
})
