import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PeerProcess } from '../interop/support/peer-process.js'
import { findProgram, folderOf } from '../interop/support/proxies/reverse-proxy.js'
import { ROOT } from '../project/support.js'
import { type Scene, sceneOfTest } from '../support/e2e/scene.js'

const PYTHON = '/usr/bin/python3'
const PROGRAM = join(ROOT, 'bin/linksocks.js')

const ADDRESSES: readonly (readonly [string, (scene: Scene) => string])[] = [
  ['a path', (scene) => join(folderOf(scene), 'notify')],
  ['an abstract name', () => `@linksocks-${randomBytes(8).toString('hex')}`],
]

describe.skipIf(findProgram('systemd-notify') === undefined || !existsSync(PYTHON))(
  'readiness, by systemd-notify',
  () => {
    const scene = sceneOfTest()

    it.each(ADDRESSES)('reaches a service manager at %s', async (_, addressIn) => {
      const address = addressIn(scene)
      const manager = new PeerProcess([PYTHON, join(ROOT, 'test/deploy/notify.py'), address])
      scene.own(() => manager.end('SIGKILL'))
      await manager.says('bound')
      const args = ['server', '-t', 'SECRET', '-H', '127.0.0.1', '-P', '0']
      const server = new PeerProcess([process.execPath, PROGRAM, ...args], { NOTIFY_SOCKET: address })
      scene.own(() => server.end('SIGKILL'))
      await manager.says(
        /\["READY=1"\]\n\["BARRIER=1"\]\n\["STATUS=listening on ws:\/\/127\.0\.0\.1:\d+"\]\n\["BARRIER=1"\]/,
      )
      expect(await server.end('SIGTERM')).toBe(0)
      // a drain of no stream may be over before the call is
      expect(server.output).not.toContain('service.notify-failed')
    })

    it('is not waited for where nothing answers', async () => {
      const args = ['server', '-t', 'SECRET', '-H', '127.0.0.1', '-P', '0']
      const server = new PeerProcess([process.execPath, PROGRAM, ...args], {
        NOTIFY_SOCKET: join(folderOf(scene), 'none'),
      })
      scene.own(() => server.end('SIGKILL'))
      await server.says('service.notify-failed')
      expect(server.output).toContain('server.ready')
      expect(await server.end('SIGTERM')).toBe(0)
    })
  },
)
