import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDashboardFiles, type DashboardFiles } from '../../../src/node/http/dashboard-files.js'

const PAGE = '<!doctype html><title>page</title>'
const SCRIPT = 'export const answer = 42\n'.repeat(50)
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

describe('dashboard files', () => {
  let folder: string
  let files: DashboardFiles
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linksocks-dashboard-'))
    await mkdir(join(folder, 'page/assets'), { recursive: true })
    await writeFile(join(folder, 'secret.txt'), 'secret')
    await writeFile(join(folder, 'page/index.html'), PAGE)
    await writeFile(join(folder, 'page/assets/index-abc.js'), SCRIPT)
    await writeFile(join(folder, 'page/assets/index-abc.css'), 'body {}')
    await writeFile(join(folder, 'page/assets/icon-abc.svg'), '<svg/>')
    files = createDashboardFiles(join(folder, 'page'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const answer = await files(new Request('http://relay.example.com/', init), path)
    if (answer === undefined) throw new Error(`${path} is not the dashboard's`)
    return answer
  }

  it.each(['/', '/api/status', '/dashboards', '/dash', '/api/dashboard/'])('leaves %s to others', (path) => {
    expect(files(new Request('http://relay.example.com/'), path)).toBeUndefined()
  })

  it('sends the bare name to the folder, relative to where it is', async () => {
    const answer = await ask('/dashboard')
    expect([answer.status, answer.headers.get('location')]).toEqual([308, 'dashboard/'])
  })

  it('answers the page, to be asked for again each time', async () => {
    const answer = await ask('/dashboard/')
    expect([answer.status, await answer.text()]).toEqual([200, PAGE])
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-cache')
    expect(answer.headers.get('content-length')).toBe(String(PAGE.length))
  })

  it.each([
    ['index-abc.js', 'text/javascript; charset=utf-8'],
    ['index-abc.css', 'text/css; charset=utf-8'],
    ['icon-abc.svg', 'image/svg+xml'],
  ])('answers %s as %s, to be kept for ever', async (name, type) => {
    const { status, headers } = await ask(`/dashboard/assets/${name}`)
    expect([status, headers.get('content-type')]).toEqual([200, type])
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  it.each(['gzip', 'br, gzip', 'deflate;q=1, GZIP;q=0.5'])('compresses for who accepts %s', async (accepted) => {
    const answer = await ask('/dashboard/assets/index-abc.js', { headers: { 'accept-encoding': accepted } })
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(answer.headers.get('vary')).toBe('accept-encoding')
    const body = new Uint8Array(await answer.arrayBuffer())
    expect(answer.headers.get('content-length')).toBe(String(body.byteLength))
    expect(gunzipSync(body).toString()).toBe(SCRIPT)
  })

  it.each(['', 'br', 'gzip;q=0', 'identity', '*'])('does not compress for who accepts "%s"', async (accepted) => {
    const answer = await ask('/dashboard/assets/index-abc.js', { headers: { 'accept-encoding': accepted } })
    expect(answer.headers.has('content-encoding')).toBe(false)
    expect(await answer.text()).toBe(SCRIPT)
  })

  it.each(['/dashboard', '/dashboard/', '/dashboard/assets/index-abc.js', '/dashboard/missing'])(
    'sends the policy with %s',
    async (path) => {
      const { headers } = await ask(path)
      expect(headers.get('content-security-policy')).toBe(POLICY)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    },
  )

  it.each([
    '/dashboard/missing',
    '/dashboard/index.html/',
    '/dashboard/assets',
    '/dashboard/../secret.txt',
    '/dashboard/%2e%2e/secret.txt',
    '/dashboard/..%2fsecret.txt',
    '/dashboard//secret.txt',
    '/dashboard/__proto__',
  ])('knows nothing of %s', async (path) => {
    expect((await ask(path)).status).toBe(404)
  })

  it('answers HEAD without a body', async () => {
    const answer = await ask('/dashboard/', { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([
      200,
      String(PAGE.length),
      '',
    ])
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const answer = await ask('/dashboard/', { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  it('reads once, and after a failure again', async () => {
    const late = join(folder, 'late')
    const asked = createDashboardFiles(late)
    const request = new Request('http://relay.example.com/')
    await expect(asked(request, '/dashboard/')).rejects.toThrow(/ENOENT/)
    await mkdir(late)
    await writeFile(join(late, 'index.html'), PAGE)
    expect((await asked(request, '/dashboard/'))?.status).toBe(200)
    await rm(late, { recursive: true })
    expect((await asked(request, '/dashboard/'))?.status).toBe(200)
  })
})
