import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listenUnix } from '../../../src/node/net/listen-unix.js'
import { atEnd } from '../../support/at-end.js'
import { socketPath } from './unix-folder.js'

/** A server that greets, bound there. */
async function greeting(path: string, text: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).end(text))
  atEnd(() => void server.close())
  await listenUnix(server, path)
  return server
}

async function greetingAt(path: string): Promise<string> {
  const socket = connect({ path })
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

const refusal = (path: string): Promise<unknown> =>
  listenUnix(createServer(), path).then(
    () => 'listens',
    ({ code, message }) => `${code} ${message}`,
  )

/** Leaves a socket as a process does that is killed. */
async function abandonedAt(path: string): Promise<void> {
  const code = 'require("net").createServer().listen(process.argv[1], () => console.log("there"))'
  const child = spawn(process.execPath, ['-e', code, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(lstatSync(path).isSocket()).toBe(true)
}

describe.skipIf(process.platform === 'win32')('listenUnix', () => {
  it('makes a socket, which is gone when the server is closed', async () => {
    const path = socketPath()
    const server = await greeting(path, 'one')
    expect(await greetingAt(path)).toBe('one')
    await new Promise((resolve) => server.close(resolve))
    expect(existsSync(path)).toBe(false)
    await greeting(path, 'two')
    expect(await greetingAt(path)).toBe('two')
  })

  it('takes the place of a socket that a killed server has left', async () => {
    const path = socketPath()
    await abandonedAt(path)
    await greeting(path, 'new')
    expect(await greetingAt(path)).toBe('new')
  })

  it('leaves a server alone that lives', async () => {
    const path = socketPath()
    await greeting(path, 'old')
    expect(await refusal(path)).toBe(`ERR_LISTEN ${path} is in use: another server listens there, or it is no socket`)
    expect(await greetingAt(path)).toBe('old')
  })

  it('leaves any other file alone, a link to a socket included', async () => {
    const path = socketPath()
    writeFileSync(path, 'mine')
    const inUse = (at: string): string => `ERR_LISTEN ${at} is in use: another server listens there, or it is no socket`
    expect(await refusal(path)).toBe(inUse(path))
    expect(readFileSync(path, 'utf8')).toBe('mine')
    const [target, link] = [join(dirname(path), 'target'), join(dirname(path), 'link')]
    await abandonedAt(target)
    symlinkSync(target, link)
    expect(await refusal(link)).toBe(inUse(link))
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
  })

  it('says that the directory is not there', async () => {
    const path = join(dirname(socketPath()), 'none', 'a.sock')
    expect(await refusal(path)).toBe(`ERR_LISTEN can't make the socket ${path}: its directory is not there`)
    const inFile = socketPath()
    writeFileSync(inFile, '')
    const below = join(inFile, 'none', 'a')
    expect(await refusal(below)).toBe(`ERR_LISTEN can't make the socket ${below}: its directory is not there`)
  })
})
