/**
 * Stands in for curl where documents are run: exactly the flags they use, HTTP only, and an error for everything else.
 * -s -S -N, -X METHOD, -H 'Name: value', -d BODY, -w FORMAT (%{http_code}, %header{name} and \n), --max-time SECONDS,
 * --socks5-hostname HOST:PORT
 */
import { request } from 'node:http'
import { connect } from 'node:net'

const VALUES = {
  ...{ '-X': 'method', '-H': 'header', '-d': 'body', '-w': 'format' },
  ...{ '--max-time': 'seconds', '--socks5-hostname': 'socks' },
}
/** As curl's own. */
const EXIT = { usage: 2, connect: 7, write: 23, timeout: 28, proxy: 97 }

class Failure extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

function parse(args) {
  const options = { headers: {} }
  const queue = [...args]
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    const name = VALUES[arg]
    if (name === 'header') addHeader(options, queue.shift() ?? '')
    else if (name !== undefined) options[name] = queue.shift()
    else if (/^-[sSN]+$/.test(arg)) for (const letter of arg.slice(1)) options[letter] = true
    else if (arg.startsWith('-') || options.url !== undefined)
      throw new Failure(EXIT.usage, `the stand-in does not know ${arg}`)
    else options.url = new URL(arg)
  }
  if (options.url?.protocol !== 'http:') throw new Failure(EXIT.usage, 'the stand-in needs an http:// URL')
  return options
}

function addHeader({ headers }, line) {
  const colon = line.indexOf(':')
  if (colon < 1) throw new Failure(EXIT.usage, `not a header: ${line}`)
  headers[line.slice(0, colon)] = line.slice(colon + 1).trim()
}

/** Exactly `count` bytes. */
async function take(socket, count) {
  for (;;) {
    const bytes = socket.read(count)
    if (bytes?.length === count) return bytes
    if (bytes !== null || socket.readableEnded || socket.destroyed)
      throw new Failure(EXIT.proxy, 'the SOCKS5 server hung up')
    await new Promise((resolve) => {
      for (const event of ['readable', 'end', 'close']) socket.once(event, resolve)
    })
  }
}

/** A socket to `host`:`port` through a SOCKS5 server, with the name looked up at the far end. */
async function throughSocks(options, host, port) {
  const [proxyHost, proxyPort] = options.socks.split(':')
  const socket = connect(Number(proxyPort), proxyHost)
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error) => reject(new Failure(EXIT.connect, error.message)))
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

async function exchange(options) {
  const { url, headers, body } = options
  const port = Number(url.port || 80)
  const socket = options.socks === undefined ? undefined : await throughSocks(options, url.hostname, port)
  const method = options.method ?? (body === undefined ? 'GET' : 'POST')
  // as curl: the content type of a form, whatever it is
  const form =
    body === undefined
      ? {}
      : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: url.hostname,
        port,
        path: url.pathname + url.search,
        method,
        headers: { Connection: 'close', ...form, ...headers },
        ...(socket && { createConnection: () => socket }),
      },
      (response) => {
        const chunks = []
        const take = options.N ? (chunk) => process.stdout.write(chunk) : (chunk) => chunks.push(chunk)
        response.on('data', take)
        response.on('end', () => resolve({ response, text: Buffer.concat(chunks).toString() }))
        response.on('error', reject)
      },
    )
    call.on('error', (error) => reject(new Failure(EXIT.connect, error.message)))
    call.end(body)
  })
}

function show({ format = '' }, { response, text }) {
  const told = format
    .replaceAll('%{http_code}', response.statusCode)
    .replaceAll(/%header\{([\w-]+)\}/g, (_, name) => response.headers[name] ?? '')
    .replaceAll('\\n', '\n')
  process.stdout.write(text + told)
}

/** Ends the process, with what is still under way. */
function fail(options, code, message) {
  if (!options.s || options.S) process.stderr.write(`curl: (${code}) ${message}\n`)
  process.exit(code)
}

let options = {}
try {
  options = parse(process.argv.slice(2))
  const { seconds } = options
  if (seconds !== undefined) setTimeout(() => fail(options, EXIT.timeout, 'timed out'), seconds * 1_000).unref()
  process.stdout.on('error', (error) => fail(options, EXIT.write, error.message))
  show(options, await exchange(options))
} catch (error) {
  fail(options, typeof error.code === 'number' ? error.code : 1, error.message)
}
