import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../project/support.js'
import { sceneOfTest } from '../support/e2e/scene.js'
import { freePort } from '../support/ports.js'
import { eventually } from '../support/wait.js'

const KEY = 'key of the tests'

describe('commands for a running server', () => {
  const scene = sceneOfTest()

  it('add a token that lets a provider in, show it, and take it away again', async () => {
    const port = await freePort()
    const server = await scene.server(['-k', KEY])
    const env = { LINKSOCKS_API_URL: server.url, LINKSOCKS_API_KEY_FILE: scene.file(`${KEY}\n`) }
    const ask = async (...args: readonly string[]): Promise<string> => {
      const process = scene.start(args, { env })
      expect([await process.end(), process.stderr]).toEqual([0, ''])
      return process.stdout
    }

    const added = await ask('token', 'add', '--type', 'reverse', '--port', `${port}`, '--quiet')
    expect(added).toMatch(/^[0-9A-Za-z]{32}\n$/)
    const token = added.trim()
    await scene.provider(server.url, ['-t', token])
    const row = new RegExp(`reverse +\\S+ +${token.slice(0, 4)}… +\\S+ +1 +${port} `)
    await eventually('provider in the list', async () => row.exec(await ask('token', 'list')) ?? undefined)
    expect(await ask('status')).toMatch(/^LinkSocks \d+\.\d+\.\d+ at http:\/\/127\.0\.0\.1:\d+/)
    expect(JSON.parse(await ask('token', 'list', '--json'))).toMatchObject({ tokens: [{ type: 'reverse', token }] })

    expect(await ask('token', 'rm', token)).toBe('removed token 1\n')
    expect(await ask('token', 'list')).toBe('no tokens\n')
  })

  it('end with 3 when the server refuses the key, and with 1 when there is no server', async () => {
    const server = await scene.server(['-k', KEY])
    const refused = scene.start(['status', '-u', server.url, '-k', 'another'])
    expect(await refused.end()).toBe(3)
    expect(refused.stderr).toMatch(/^linksocks: --api-key: http:\S+ refuses this API key\n$/)
    const missing = scene.start(['status', '-u', `http://127.0.0.1:${await freePort()}`, '-k', KEY])
    expect(await missing.end()).toBe(1)
    expect(missing.stderr).toMatch(/^linksocks: --url: cannot reach \S+ \S+ refused the connection\n$/)
  })

  it('end with 1 when what they print cannot be written', async () => {
    const server = await scene.server(['-k', KEY])
    const command = ['token', 'list', '-u', server.url, '-k', KEY]
    const program = join(ROOT, 'bin/linksocks.js')
    const run = promisify(execFile)('sh', ['-c', 'exec "$@" > /dev/full', 'sh', process.execPath, program, ...command])
    await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no space left') })
  })

  it('print a whole completion script into a pipe', async () => {
    const process = scene.start(['completion', 'bash'])
    expect(await process.end()).toBe(0)
    expect(process.stdout).toMatch(/complete -F _linksocks linksocks\n$/)
  })
})
