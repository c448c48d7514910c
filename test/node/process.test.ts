import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { patience } from '../support/wait.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Prints what would still keep the process when it has had time to go: a timer that is left would only end it late. */
const KEPT = `
  const printKept = async () => {
    const kept = () => process.getActiveResourcesInfo().filter((kind) => /^(Timeout|TCP)/.test(kind))
    for (let turn = 0; turn < 10_000 && kept().length > 0; turn += 1) await new Promise(setImmediate)
    console.log('kept: ' + kept().join())
  }`

/** Runs a module that uses the built package, until it ends by itself. */
async function run(script: string): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }> {
  const source = `import { Client, Server } from './dist/index.js'\n${KEPT}\n${script}`
  const args = ['--input-type=module', '--eval', source]
  const child = spawn(process.execPath, args, { cwd: ROOT, timeout: patience(), stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}

describe('a process that uses the built library', () => {
  it('stays while a server listens and a client looks for one, and ends once both are closed', async () => {
    const script = `
      const tokens = [{ type: 'forward', token: 'secret' }]
      const server = new Server({ host: '127.0.0.1', port: 0, tokens, allowOwnPorts: true })
      const { port } = await server.listen()
      const up = new Client({ url: 'ws://127.0.0.1:' + port, token: 'secret', socks: { port: 0 } })
      await up.start()
      const stream = await up.dial('127.0.0.1', port)
      stream.on('error', () => {})
      await server.close()
      // from here on only the wait between two attempts to connect keeps the process
      setTimeout(async () => {
        console.log('alive')
        await up.close()
        console.log(await up.closed)
        await printKept()
      }, 500).unref()`
    expect(await run(script)).toEqual({ code: 0, out: 'alive\nundefined\nkept: \n', err: '' })
  })

  it('ends after a failed start that was caught, with nothing unhandled', async () => {
    const script = `
      const server = new Server({ host: '127.0.0.1', port: 0 })
      const { port } = await server.listen()
      const second = new Server({ host: '127.0.0.1', port })
      await second.listen().catch((error) => console.log(error.code))
      const client = new Client({ url: 'ws://127.0.0.1:' + port, token: 'secret', socks: { port: 0, nowait: true } })
      await client.start().catch((error) => console.log(error.code))
      await server.close()
      await printKept()`
    expect(await run(script)).toEqual({ code: 0, out: 'ERR_LISTEN\nERR_AUTH_REJECTED\nkept: \n', err: '' })
  })
})
