import { spawn } from 'node:child_process'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Scene } from '../../../support/e2e/scene.js'
import { folder, output } from './programs.js'
import { growTree } from './tree.js'

/** Settings of nobody else, and a name for commits. */
export const GIT_ENV = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.com',
}

/** A repository with some megabytes in three commits. */
export async function gitRepository(scene: Scene): Promise<{ path: string; head: string }> {
  const path = folder(scene)
  const git = (...args: readonly string[]) => output(scene, ['git', ...args], { cwd: path, env: GIT_ENV })
  await git('init', '-q', '-b', 'main')
  for (const round of ['one', 'two', 'three']) {
    growTree(join(path, round), { files: 100, maxBytes: 384 * 1024 })
    await git('add', '.')
    await git('commit', '-q', '-m', `round ${round}`)
  }
  return { path, head: (await git('rev-parse', 'HEAD')).toString().trim() }
}

/** Serves a repository by git's own CGI program, to fetch from and to push to. */
export function gitHttpListener(path: string): RequestListener {
  return (request, response) => void serve(path, request, response)
}

async function serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://git')
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: path,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      // else it is for users that the web server knows
      GIT_CONFIG_KEY_1: 'http.receivepack',
      GIT_CONFIG_VALUE_1: 'true',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: `${request.headers['git-protocol'] ?? ''}`,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  response.on('close', () => child.kill())
  let head = Buffer.alloc(0)
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    if (response.headersSent) {
      response.write(chunk)
      continue
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) continue
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(': ')
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.flushHeaders()
    response.write(head.subarray(end + 4))
  }
  response.end()
}
