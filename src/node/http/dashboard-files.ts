import { readdir, readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzip } from 'node:zlib'
import { PACKAGE_ROOT } from '../system/package-root.js'

/** Where Vite builds the page. */
const FOLDER = fileURLToPath(new URL('dist/dashboard/', PACKAGE_ROOT))
const PAGE = '/dashboard'
const PREFIX = `${PAGE}/`
/** Vite gives the files in here names that change with their content. */
const HASHED = 'assets/'
const ALLOW = 'GET, HEAD'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.md': 'text/plain; charset=utf-8',
}

/** The page may load its own files, speak to its own server, and be framed by nobody. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const SAFETY = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

interface StoredFile {
  readonly type: string
  readonly cacheControl: string
  readonly plain: Uint8Array<ArrayBuffer>
  readonly gzipped: Uint8Array<ArrayBuffer>
}

/** By path below the page, `''` being the page itself. */
type Files = ReadonlyMap<string, StoredFile>

/** @returns the answer, or `undefined` for a path that is not the dashboard's */
export type DashboardFiles = (request: Request, rawPath: string) => Promise<Response> | undefined

/**
 * The dashboard's files. They are read and compressed once, with the first request; a request only looks its path up among
 * them, so none leads out of the folder.
 * @param folder for tests
 */
export function createDashboardFiles(folder: string = FOLDER): DashboardFiles {
  let loaded: Promise<Files> | undefined
  const load = (): Promise<Files> => {
    loaded ??= readFiles(folder).catch((thrown: unknown) => {
      // the next request tries again
      loaded = undefined
      throw thrown
    })
    return loaded
  }
  return (request, rawPath) => {
    if (rawPath !== PAGE && !rawPath.startsWith(PREFIX)) return undefined
    return answer(request, rawPath, load)
  }
}

async function answer(request: Request, rawPath: string, load: () => Promise<Files>): Promise<Response> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'method not allowed', { allow: ALLOW })
  // relative: a reverse proxy may have put a prefix before the path
  if (rawPath === PAGE) return text(308, 'dashboard/', { location: 'dashboard/' })
  const file = (await load()).get(rawPath.slice(PREFIX.length))
  if (file === undefined) return text(404, 'not found')
  const headers = {
    ...SAFETY,
    'content-type': file.type,
    'cache-control': file.cacheControl,
    vary: 'accept-encoding',
  }
  const compressed = acceptsGzip(request.headers.get('accept-encoding') ?? '')
  const body = compressed ? file.gzipped : file.plain
  const length = { 'content-length': String(body.byteLength) }
  const coding = compressed ? { 'content-encoding': 'gzip' } : {}
  return new Response(request.method === 'HEAD' ? null : body, { headers: { ...headers, ...length, ...coding } })
}

function text(status: number, words: string, headers: Readonly<Record<string, string>> = {}): Response {
  const own = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }
  return new Response(`${words}\n`, { status, headers: { ...SAFETY, ...own, ...headers } })
}

/** RFC 9110 section 12.5.3, as far as gzip is concerned; `*` alone is too vague to count on. */
function acceptsGzip(field: string): boolean {
  return field.split(',').some((part) => {
    const [coding = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    return coding === 'gzip' && (weight === undefined || Number(weight.slice(2)) > 0)
  })
}

async function readFiles(folder: string): Promise<Files> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const files = await Promise.all(
    paths.map(async (path) => {
      const name = path.slice(join(folder, sep).length).replaceAll(sep, '/')
      return [name === 'index.html' ? '' : name, await readStored(path, name)] as const
    }),
  )
  return new Map(files)
}

async function readStored(path: string, name: string): Promise<StoredFile> {
  const plain = new Uint8Array(await readFile(path))
  return {
    type: TYPES[extname(name)] ?? 'application/octet-stream',
    cacheControl: name.startsWith(HASHED) ? 'public, max-age=31536000, immutable' : 'no-cache',
    plain,
    gzipped: await compress(plain),
  }
}

function compress(plain: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    gzip(plain, { level: 9 }, (error, bytes) => (error === null ? resolve(new Uint8Array(bytes)) : reject(error)))
  })
}
