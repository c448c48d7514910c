import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { type Scene, sceneOfSuite, sceneOfTest } from '../../support/e2e/scene.js'
import { freePort } from '../../support/ports.js'
import { type LocalCa, localCa } from '../support/local-ca.js'
import { accepts, startPeer } from '../support/mixed-tunnel.js'
import { describeWith, type Ended, folder, run } from '../support/programs/programs.js'
import { LOOPBACK_NAMES, startTlsServer } from '../support/tls-server.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/check-tls.sh', import.meta.url))

describeWith(['openssl', 'timeout'], 'scripts/check-tls.sh', () => {
  const suite = sceneOfSuite()
  const scene = sceneOfTest()
  let ca: LocalCa
  let bundle = ''
  beforeAll(async () => {
    ca = await localCa(suite, 'Authority of this test')
    bundle = await ca.certificate({ names: LOOPBACK_NAMES, chained: true })
  })

  const check = (owner: Scene, port: number, ...args: readonly string[]): Promise<Ended> =>
    run(owner, [SCRIPT, '--ca-file', ca.file, ...args, `localhost:${port}`])

  /** What was found, each with the words after it. */
  function found({ stdout }: Ended, verdict: string): readonly string[] {
    const lines = stdout.toString().split('\n')
    return lines.filter((line) => line.startsWith(`${verdict} `)).map((line) => line.slice(5))
  }

  /** OpenSSL's own server, on any port. */
  async function opensslServer(owner: Scene, ...args: readonly string[]): Promise<number> {
    const port = await freePort()
    const server = startPeer(owner, ['openssl', 's_server', '-accept', `127.0.0.1:${port}`, '-www', ...args])
    await accepts(port, () => server.tail)
    return port
  }

  it('finds nothing wrong with the TLS of our server', async () => {
    const { port, process } = await startTlsServer(scene, bundle, ['-t', 'F'])
    const ended = await check(scene, port)
    expect(found(ended, 'FAIL')).toEqual([])
    expect(found(ended, 'warn')).toEqual([])
    expect(ended.code, ended.stderr).toBe(0)
    expect(found(ended, 'ok  ')).toEqual([
      'TLS 1.0 is refused',
      'TLS 1.1 is refused',
      'TLS 1.2 is taken',
      'TLS 1.3 is taken',
      'TLS 1.2 without encryption (NULL) is refused',
      'TLS 1.2 without a certificate (anonymous) is refused',
      ...found(ended, 'ok  ').filter((line) => /EXPORT|RC4|3DES/.test(line)),
      'forward secrecy: a key exchange by RSA alone is refused',
      'compression is off',
      'renegotiation is secure (RFC 5746)',
      'renegotiation that a client asks for is refused',
      'the certificate chain is whole (2 sent), trusted and for localhost',
      expect.stringContaining('the certificate is good until'),
    ])
    for (const line of found(ended, 'skip')) expect(line).toMatch(/^(SSL 3|TLS 1.2 with (EXPORT|RC4|3DES)|resumed)/)
    // each attempt that failed is named once
    const refused = found(ended, 'ok  ').filter((line) => line.includes(' is refused')).length
    await process.event('http.rejected')
    expect(process.events('http.rejected').length).toBeLessThanOrEqual(refused)
  })

  it('finds that our server resumes no session where it asks for client certificates', async () => {
    const { port } = await startTlsServer(scene, bundle, ['-t', 'F', '--tls-client-ca', ca.file])
    const ended = await check(scene, port)
    expect(found(ended, 'FAIL')).toEqual([])
    expect(found(ended, 'ok  ').filter((line) => line.includes('resumes no session'))).toHaveLength(2)
    expect(ended.code).toBe(0)
  })

  it('finds what is wrong with a server of bad settings', async () => {
    const ciphers = ['-cipher', 'ALL:eNULL:aNULL:@SECLEVEL=0', '-min_protocol', 'TLSv1']
    // the certificate alone, without the one between
    const plain = await ca.certificate({ names: ['DNS:another.test'], endYear: 2021 })
    const port = await opensslServer(scene, ...ciphers, '-client_renegotiation', '-verify', '1', '-cert', plain)
    const ended = await check(scene, port)
    expect(found(ended, 'FAIL')).toEqual([
      'TLS 1.0 is taken',
      'TLS 1.1 is taken',
      'TLS 1.2 without encryption (NULL) is taken',
      'TLS 1.2 without a certificate (anonymous) is taken',
      'renegotiation that a client asks for is taken',
      'TLS 1.2 resumes sessions although the server asks for client certificates',
      'TLS 1.3 resumes sessions although the server asks for client certificates',
      expect.stringMatching(/^the certificate chain: \d+ \(/),
      'the certificate has expired',
    ])
    expect(ended.code).toBe(1)
  })

  it('finds a chain that is not whole, and a server that knows TLS 1.3 only', async () => {
    // s_server sends the first certificate of this file, and none of the others
    const port = await opensslServer(scene, '-tls1_3', '-cert', bundle)
    const ended = await check(scene, port)
    expect(found(ended, 'FAIL')).toEqual([expect.stringMatching(/^the certificate chain: \d+ \(unable to/)])
    expect(found(ended, 'warn')).toContain('TLS 1.2 is refused: clients that know nothing newer are left out')
    expect(ended.code).toBe(1)
  })

  it('says where there is nothing to check, and how it is called', async () => {
    const nowhere = await check(scene, await freePort())
    expect(nowhere.code).toBe(2)
    expect(nowhere.stderr).toContain("can't reach localhost")
    const called = await run(scene, [SCRIPT])
    expect(called.code).toBe(2)
    expect(called.stderr).toContain('usage:')
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const port = await opensslServer(scene, '-cert', bundle)
    const work = folder(scene)
    const env = { ...process.env, TMPDIR: work }
    const child = spawn(SCRIPT, [`localhost:${port}`], { stdio: ['ignore', 'pipe', 'ignore'], env })
    scene.own(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([2, null])
    expect(readdirSync(work)).toEqual([])
  })
})
