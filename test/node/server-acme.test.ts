import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/log.js'
import { ServerAcme } from '../../src/node/server-acme.js'
import { ServerTls } from '../../src/node/server-tls.js'
import type { AlarmBoard } from '../../src/node/tls/certificate-expiry.js'
import { atEnd } from '../support/at-end.js'
import { memoryFolder } from '../support/memory-folder.js'
import { freePort, isFree } from '../support/ports.js'

const NAME = 'relay.test'
const HOST = '127.0.0.1'
const KEY = 'ab'.repeat(32)

async function setUp() {
  const dataDir = await mkdtemp(join(memoryFolder(), 'linksocks-acme-'))
  atEnd(() => rm(dataDir, { recursive: true, force: true }))
  const alarms: AlarmBoard = { raise: () => {}, clear: () => {} }
  const tls = await ServerTls.open({ domains: [NAME], log: silentLogger, alarms })
  atEnd(() => tls.close())
  const port = await freePort()
  const httpListen = { host: HOST, port }
  return { dataDir, port, setup: { domains: [NAME], httpListen, dataDir, tls, log: silentLogger, alarms } }
}

describe('ServerAcme', () => {
  it('opens the port for validations, asks nobody before it is started, and gives the port back', async () => {
    const { port, setup } = await setUp()
    const acme = await ServerAcme.open({ ...setup, dataKey: KEY })
    expect(await isFree(port)).toBe(false)
    acme.retry()
    await Promise.all([acme.close(), acme.close()])
    expect(await isFree(port)).toBe(true)
  })

  it.each<[string, string, string]>([
    ['the key is missing', '', ''],
    ['the key is damaged', 'data.key', 'x'],
    ['the certificates are damaged', 'acme.sealed', 'x'],
  ])('leaves no port open when %s', async (what, file, content) => {
    const { port, dataDir, setup } = await setUp()
    if (file !== '') await writeFile(join(dataDir, file), content)
    const dataKey = what.includes('certificates') ? KEY : undefined
    await expect(ServerAcme.open({ ...setup, dataKey })).rejects.toMatchObject({ code: 'ERR_STORE' })
    expect(await isFree(port)).toBe(true)
  })

  it('is refused when a port that was asked for is taken', async () => {
    const { setup } = await setUp()
    const first = await ServerAcme.open({ ...setup, dataKey: KEY })
    atEnd(() => first.close())
    await expect(ServerAcme.open({ ...setup, dataKey: KEY })).rejects.toMatchObject({ code: 'ERR_LISTEN' })
  })
})
