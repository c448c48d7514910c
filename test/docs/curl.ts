/**
 * Stands in for curl where documents are run: exactly the flags they use, HTTP only, and an error for everything else.
 * -s -S -N, -X METHOD, -H 'Name: value', -d BODY, -w FORMAT (%{http_code}, %header{name} and \n), --max-time SECONDS,
 * --socks5-hostname HOST:PORT
 *
 * `--max-time` is accepted and ignored: the reader of an endless answer stops by itself, and a timer could fire first.
 */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'

const VALUES: Readonly<Record<string, 'method' | 'header' | 'body' | 'format' | 'seconds' | 'socks'>> = {
  ...{ '-X': 'method', '-H': 'header', '-d': 'body', '-w': 'format' },
  ...{ '--max-time': 'seconds', '--socks5-hostname': 'socks' },
}
/** As curl's own. */
const EXIT = { other: 1, usage: 2, connect: 7, write: 23, proxy: 97 }

interface Options {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The letters of flags without a value. */
  readonly letters: ReadonlySet<string>
  readonly values: ReadonlyMap<string, string>
}

class Failure extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** What a call ends with. */
export interface CurlEnd {
  readonly code: number
  readonly stderr: string
}

/** @param write takes what goes to standard output; throws when nobody reads that any more */
export async function callCurl(
  args: readonly string[],
  write: (chunk: string | Uint8Array) => void,
  signal?: AbortSignal,
): Promise<CurlEnd> {
  const letters = new Set<string>()
  try {
    const options = parse(args, letters)
    const { response, body } = await exchange(options, write, signal)
    written(write, Buffer.concat([body, Buffer.from(told(options, response))]))
    return { code: 0, stderr: '' }
  } catch (error) {
    const { code, message } = error instanceof Failure ? error : new Failure(EXIT.other, String(error))
    return { code, stderr: letters.has('s') && !letters.has('S') ? '' : `curl: (${code}) ${message}\n` }
  }
}

function parse(args: readonly string[], letters: Set<string>): Options {
  const headers: Record<string, string> = {}
  const values = new Map<string, string>()
  let url: URL | undefined
  const queue = [...args]
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    const name = VALUES[arg]
    if (name === 'header') addHeader(headers, queue.shift() ?? '')
    else if (name !== undefined) values.set(name, queue.shift() ?? '')
    else if (/^-[sSN]+$/.test(arg)) for (const letter of arg.slice(1)) letters.add(letter)
    else if (arg.startsWith('-') || url !== undefined)
      throw new Failure(EXIT.usage, `the stand-in does not know ${arg}`)
    else url = new URL(arg)
  }
  if (url?.protocol !== 'http:') throw new Failure(EXIT.usage, 'the stand-in needs an http:// URL')
  return { url, headers, letters, values }
}

function addHeader(headers: Record<string, string>, line: string): void {
  const colon = line.indexOf(':')
  if (colon < 1) throw new Failure(EXIT.usage, `not a header: ${line}`)
  headers[line.slice(0, colon)] = line.slice(colon + 1).trim()
}

/** Exactly `count` bytes. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = socket.read(count)
    if (bytes?.length === count) return bytes
    if (bytes !== null || socket.readableEnded || socket.destroyed)
      throw new Failure(EXIT.proxy, 'the SOCKS5 server hung up')
    await new Promise<void>((resolve) => {
      for (const event of ['readable', 'end', 'close']) socket.once(event, () => resolve())
    })
  }
}

/** A socket to `host`:`port` through a SOCKS5 server, with the name looked up at the far end. */
async function throughSocks(proxy: string, host: string, port: number): Promise<Socket> {
  const [proxyHost = '', proxyPort] = proxy.split(':')
  const socket = connect(Number(proxyPort), proxyHost)
  await once(socket, 'connect').catch((error: Error) => {
    throw new Failure(EXIT.connect, error.message)
  })
  socket.on('error', () => {})
  socket.write(Buffer.of(5, 1, 0))
  const [, method] = await take(socket, 2)
  if (method !== 0) throw new Failure(EXIT.proxy, 'no acceptable SOCKS5 method')
  const name = Buffer.from(host)
  socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3, name.length), name, Buffer.of(port >> 8, port & 255)]))
  const [, reply, , type] = await take(socket, 4)
  if (reply !== 0) throw new Failure(EXIT.proxy, `SOCKS5 reply ${reply}`)
  await take(socket, type === 4 ? 18 : 6)
  return socket
}

async function exchange(
  { url, headers, letters, values }: Options,
  write: (chunk: Uint8Array) => void,
  signal: AbortSignal | undefined,
): Promise<{ readonly response: IncomingMessage; readonly body: Buffer }> {
  const port = Number(url.port || 80)
  const proxy = values.get('socks')
  const socket = proxy === undefined ? undefined : await throughSocks(proxy, url.hostname, port)
  const body = values.get('body')
  // as curl: the content type of a form, whatever it is
  const form = body !== undefined && {
    'Content-Type': 'application/x-www-form-urlencoded',
    'Content-Length': Buffer.byteLength(body),
  }
  const call = request({
    host: url.hostname,
    port,
    path: url.pathname + url.search,
    method: values.get('method') ?? (body === undefined ? 'GET' : 'POST'),
    headers: { Connection: 'close', ...form, ...headers },
    ...(socket && { createConnection: () => socket }),
    ...(signal && { signal }),
  }).end(body)
  const [response] = (await once(call, 'response').catch((error: Error) => {
    throw new Failure(EXIT.connect, error.message)
  })) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (letters.has('N')) written(write, chunk)
    else chunks.push(chunk)
  }
  return { response, body: Buffer.concat(chunks) }
}

function written(write: (chunk: Uint8Array) => void, chunk: Uint8Array): void {
  try {
    write(chunk)
  } catch (error) {
    throw new Failure(EXIT.write, String(error))
  }
}

/** What -w asks for. */
function told({ values }: Options, response: IncomingMessage): string {
  return (values.get('format') ?? '')
    .replaceAll('%{http_code}', String(response.statusCode))
    .replaceAll(/%header\{([\w-]+)\}/g, (_, name: string) => String(response.headers[name] ?? ''))
    .replaceAll('\\n', '\n')
}
