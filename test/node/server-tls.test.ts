import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ServerTls, type ServerTlsSetup } from '../../src/node/server-tls.js'
import { FILES_LOOK_MS } from '../../src/node/tls/watched-files.js'
import { LogRecorder } from '../client/fixture.js'
import { atEnd } from '../support/at-end.js'
import { Authority, type Issued, type IssueOptions } from '../support/certificates.js'
import { until } from '../support/wait.js'
import { stoppedClock } from './stopped-clock.js'
import { pairOf } from './tls/pairs.js'

const DAY = 24 * 3_600_000

async function setUp() {
  const clock = stoppedClock()
  const folder = await mkdtemp(join(tmpdir(), 'linksocks-tls-'))
  atEnd(() => rm(folder, { recursive: true }))
  const authority = await Authority.create()
  const [certFile, keyFile, clientCaFile] = ['cert', 'key', 'ca'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const log = new LogRecorder()
  const alarms: string[] = []
  /** Good for the given time around that of the clock. */
  const issue = (names: readonly string[], times: IssueOptions = {}): Promise<Issued> =>
    authority.issue({
      ...{ names, notBefore: new Date(clock.wallTime() - DAY), notAfter: new Date(clock.wallTime() + 90 * DAY) },
      ...times,
    })
  const put = async (path: string, text: string): Promise<void> => {
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }
  const putPair = async ({ chain, key }: Issued): Promise<void> => {
    await put(certFile, chain)
    await put(keyFile, key)
  }
  const open = async (more: Partial<ServerTlsSetup> = {}): Promise<ServerTls> => {
    const tls = await ServerTls.open({
      certificates: [{ certFile, keyFile }],
      log,
      alarms: {
        raise: (code, subject, message) => alarms.push(`${code} ${subject}: ${message}`),
        clear: (code, subject) => alarms.push(`${code} ${subject} cleared`),
      },
      ...more,
    })
    atEnd(() => tls.close())
    return tls
  }
  const raised = (): readonly string[] => alarms.splice(0).filter((line) => !line.endsWith(' cleared'))
  return { clock, authority, certFile, keyFile, clientCaFile, log, alarms, raised, issue, put, putPair, open }
}

describe('ServerTls', () => {
  it('loads certificates, says which, and takes new ones', async () => {
    const { clock, certFile, log, issue, putPair, open } = await setUp()
    await putPair(await issue(['a.test', 'b.test']))
    const tls = await open()
    expect(log.of('certificate.loaded')).toEqual([
      { source: certFile, names: 'a.test, b.test', expires: new Date(clock.wallTime() + 90 * DAY).toISOString() },
    ])
    await putPair(await issue(['c.test']))
    clock.advance(FILES_LOOK_MS)
    await until(() => log.of('certificate.loaded').length === 2)
    expect(tls.table.choose('c.test')?.leaf.checkHost('c.test')).toBe('c.test')
    expect(log.text).not.toContain('PRIVATE')
  })

  it('keeps the one before where a new one can not be used, with an alarm until it can', async () => {
    const { certFile, log, raised, alarms, issue, put, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    const tls = await open()
    const before = tls.table.get(certFile)
    raised()
    await put(certFile, 'rubbish')
    await tls.reload()
    expect(tls.table.get(certFile)).toBe(before)
    expect(log.of('certificate.not-loaded')).toEqual([{ source: certFile, reason: 'it holds no PEM certificate' }])
    expect(raised()).toEqual([
      `certificate-not-loaded ${certFile}: the one before stays in use: it holds no PEM certificate`,
    ])
    await putPair(await issue(['b.test']))
    await tls.reload()
    expect(alarms).toContain(`certificate-not-loaded ${certFile} cleared`)
    expect(tls.table.choose('b.test')).not.toBe(before)
  })

  it.each([
    ['has expired', -60, -30, 'the certificate has expired'],
    ['is not good yet', 1, 60, 'the certificate is not good before'],
  ])('takes none that %s for one that is good', async (_what, from, to, message) => {
    const { clock, certFile, raised, issue, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    const tls = await open()
    raised()
    const times = {
      notBefore: new Date(clock.wallTime() + from * DAY),
      notAfter: new Date(clock.wallTime() + to * DAY),
    }
    await putPair(await issue(['b.test'], times))
    await tls.reload()
    expect(tls.table.choose(undefined)?.leaf.checkHost('a.test')).toBe('a.test')
    expect(raised()).toEqual([expect.stringContaining(`${certFile}: the one before stays in use: ${message}`)])
  })

  it('takes an expired one at first, and warns', async () => {
    const { clock, certFile, log, raised, issue, putPair, open } = await setUp()
    const notAfter = new Date(clock.wallTime() - DAY)
    await putPair(await issue(['a.test'], { notBefore: new Date(clock.wallTime() - 60 * DAY), notAfter }))
    await open()
    expect(raised()).toEqual([
      `certificate-expiring ${certFile}: the certificate has expired (${notAfter.toISOString()}): replace it`,
    ])
    expect(log.of('certificate.expiring')).toEqual([
      { source: certFile, reason: `the certificate has expired (${notAfter.toISOString()})` },
    ])
  })

  it('names the files that it can not open with, and watches nothing', async () => {
    const { clock, certFile, keyFile, issue, put, open } = await setUp()
    const refused = (message: string) => ({ code: 'ERR_OPTION', message })
    await expect(open()).rejects.toMatchObject(refused(`can't read ${certFile}: it is not there`))
    await put(certFile, (await issue(['a.test'])).chain)
    await put(keyFile, (await issue(['a.test'])).key)
    await expect(open()).rejects.toMatchObject({
      message: expect.stringContaining(`${certFile} with ${keyFile}: the key does not belong to the certificate`),
    })
    expect(clock.pending).toBe(0)
  })

  it('names the file of authorities that it can not open with, and then watches nothing', async () => {
    const { clock, clientCaFile, issue, put, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    await put(clientCaFile, 'rubbish')
    await expect(open({ clientCaFile })).rejects.toMatchObject({
      message: `${clientCaFile}: it holds no PEM certificate`,
    })
    expect(clock.pending).toBe(0)
  })

  it('needs certificates of clients where there are authorities, unless told otherwise', async () => {
    const { authority, clientCaFile, log, issue, put, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    await put(clientCaFile, authority.pem)
    expect((await open()).http.needsClientCertificate).toBe(false)
    expect((await open({ clientCaFile })).http.needsClientCertificate).toBe(true)
    expect((await open({ clientCaFile, clientAuth: 'optional' })).http.needsClientCertificate).toBe(false)
    expect(log.of('client-authorities.loaded')).toEqual([{ source: clientCaFile }, { source: clientCaFile }])
  })

  it('reads one file that holds both', async () => {
    const { certFile, issue, put, open } = await setUp()
    const { chain, key } = await issue(['a.test'])
    await put(certFile, `${key}${chain}`)
    const tls = await open({ certificates: [{ certFile, keyFile: certFile }] })
    expect(tls.table.choose('a.test')).toBe(tls.table.get(certFile))
  })

  it('uses certificates of names that it is given, after those of files', async () => {
    const { log, issue, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    const tls = await open({ domains: ['d.test'] })
    const pair = await pairOf({ names: ['d.test'] })
    tls.use('d.test', pair)
    expect(tls.table.choose('d.test')).toBe(pair)
    expect(tls.table.choose(undefined)).not.toBe(pair)
    expect(log.of('certificate.loaded').at(-1)).toMatchObject({ source: 'd.test', names: 'd.test' })
  })

  it('leaves no timer when it is closed', async () => {
    const { clock, issue, putPair, open } = await setUp()
    await putPair(await issue(['a.test']))
    const tls = await open()
    expect(clock.pending).toBe(2)
    tls.close()
    tls.close()
    expect(clock.pending).toBe(0)
    await tls.reload()
    expect(clock.pending).toBe(0)
  })
})
