import { describe, expect, it } from 'vitest'
import { SERVER_FLAGS } from '../../src/cli/settings/server-flags.js'
import { readText } from '../project/support.js'
import { readSettings, readUnit, SOCKET, settings, UNITS, unitPath } from './support/units.js'
import { drainMs, VARIABLES, variablesNamed } from './support/variables.js'

describe.each(UNITS)('deploy/systemd/linksocks-%s.service', (name) => {
  it('sets only variables that the program reads', async () => {
    const named = variablesNamed((await readText(unitPath(name))).replaceAll('LINKSOCKS_*', ''))
    expect(named.filter((variable) => !VARIABLES.has(variable) && variable !== 'LINKSOCKS_')).toEqual([])
    expect(named.length).toBeGreaterThan(1)
  })

  it('hands every secret over as a credential', async () => {
    const unit = await readUnit(name)
    const handed = settings(unit, 'LoadCredential').map((credential) => credential.split(':')[0])
    const read = settings(unit, 'Environment').flatMap((text) =>
      [...text.matchAll(/_FILE=%d\/(\S+)/g)].map(([, id]) => id),
    )
    expect(read).toEqual(handed)
    expect(handed).toHaveLength(1)
  })

  it('starts again after a failure, but not when the same would fail again', async () => {
    const unit = await readUnit(name)
    expect(settings(unit, 'Restart')).toEqual(['on-failure'])
    expect(settings(unit, 'RestartPreventExitStatus')).toEqual(['2 3'])
  })

  it('leaves streams the time to drain', async () => {
    const [seconds = ''] = settings(await readUnit(name), 'TimeoutStopSec')
    expect(seconds).toMatch(/^\d+s$/)
    expect(Number.parseInt(seconds, 10) * 1_000).toBeGreaterThan(drainMs() + 5_000)
  })

  it('lets Node compile, and ask for the addresses of the machine', async () => {
    const unit = await readUnit(name)
    expect(settings(unit, 'MemoryDenyWriteExecute')).toEqual([])
    expect(settings(unit, 'RestrictAddressFamilies')).toEqual(['AF_INET AF_INET6 AF_NETLINK AF_UNIX'])
  })

  it('is hardened as the others are', async () => {
    const hardening = async (each: (typeof UNITS)[number]) => {
      const text = await readText(unitPath(each))
      // which --take-over can't have
      return text.slice(text.indexOf('# What the program may do')).replace('PrivateUsers=yes\n', '')
    }
    expect(await hardening(name)).toBe(await hardening('server'))
  })
})

describe('deploy/systemd/linksocks-server.socket', () => {
  it('has the port that the service opens without it, under a name that the program knows', async () => {
    const [socket, service] = await Promise.all([readSettings(SOCKET), readUnit('server')])
    const variables = settings(service, 'Environment').join(' ')
    const [, host, port] = /LINKSOCKS_WEBSOCKET_HOST=(\S+) LINKSOCKS_WEBSOCKET_PORT=(\d+)/.exec(variables) ?? []
    expect(settings(socket, 'ListenStream')).toEqual([`${host}:${port}`])
    expect(settings(socket, 'FileDescriptorName')).toEqual(['http'])
    // each connection as a process of its own, else
    expect(settings(socket, 'Accept')).toEqual([])
  })

  it('is for the service and for the instance that takes over from it', async () => {
    const service = await readUnit('server')
    expect(settings(service, 'Sockets')).toEqual(['linksocks-server.socket'])
    expect(settings(service, 'ExecStart').join()).toMatch(/ server --take-over /)
    expect(settings(service, 'User')).toEqual(['linksocks-server'])
    expect([settings(service, 'Type'), settings(service, 'NotifyAccess')]).toEqual([['notify'], ['all']])
  })

  it('leaves the instance longer to start than it may wait for the data directory', async () => {
    const fallback = SERVER_FLAGS.find(({ flags }) => flags.startsWith('--data-dir-wait'))?.fallback ?? ''
    const waited = Number(/(\d+)s with --take-over/.exec(fallback)?.[1])
    expect(Number.parseInt(settings(await readUnit('server'), 'TimeoutStartSec')[0] ?? '', 10)).toBeGreaterThan(waited)
  })
})
