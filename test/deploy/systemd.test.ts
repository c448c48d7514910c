import { describe, expect, it } from 'vitest'
import { readText } from '../project/support.js'
import { readUnit, settings, UNITS, unitPath } from './support/units.js'
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
      return text.slice(text.indexOf('# What the program may do'))
    }
    expect(await hardening(name)).toBe(await hardening('server'))
  })
})
