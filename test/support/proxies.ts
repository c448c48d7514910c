import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What a test proxy saw, and where it connects whatever was asked of it. */
export interface TestProxy {
  readonly port: number
  /** Header of each CONNECT, or `host:port` of each SOCKS request. */
  readonly requests: string[]
  close(): Promise<void>
}

export interface TestProxyOptions {
  /** Where every tunnel leads. */
  readonly targetPort: number
  /** `user:password` asked for. @default none */
  readonly credentials?: string
  /** Writes each of its own bytes alone. @default false */
  readonly byteByByte?: boolean
}

/** An HTTP proxy that knows CONNECT alone. */
export function httpProxy(options: TestProxyOptions): Promise<TestProxy> {
  const wanted = options.credentials && `Basic ${Buffer.from(options.credentials).toString('base64')}`
  return start(options, async (client, answer, requests) => {
    const head = await readUntil(client, (bytes) => {
      const end = bytes.indexOf('\r\n\r\n')
      return end === -1 ? undefined : end + 4
    })
    requests.push(head.toString('latin1'))
    if (wanted !== undefined && !head.includes(`Proxy-Authorization: ${wanted}\r\n`)) {
      await answer(Buffer.from('HTTP/1.1 407 Proxy Authentication Required\r\nX-Note: 200\r\n\r\n'))
      return false
    }
    await answer(Buffer.from('HTTP/1.1 200 Connection established\r\nX-Proxy: test\r\n\r\n'))
    return true
  })
}

/** A SOCKS5 proxy that knows CONNECT to domains and IPv4 alone. */
export function socksProxy(options: TestProxyOptions & { readonly rep?: number }): Promise<TestProxy> {
  return start(options, async (client, answer, requests) => {
    await readUntil(client, (bytes) => (bytes.length >= 2 ? 2 + (bytes[1] ?? 0) : undefined))
    await answer(Buffer.of(5, options.credentials === undefined ? 0 : 2))
    if (options.credentials !== undefined) {
      const auth = await readUntil(client, (bytes) => {
        const name = bytes[1] ?? 255
        return bytes.length > 2 + name ? 3 + name + (bytes[2 + name] ?? 0) : undefined
      })
      const name = auth[1] ?? 0
      const given = `${auth.subarray(2, 2 + name)}:${auth.subarray(3 + name)}`
      await answer(Buffer.of(1, given === options.credentials ? 0 : 1))
      if (given !== options.credentials) return false
    }
    const request = await readUntil(client, (bytes) => {
      if (bytes.length < 5) return undefined
      return bytes[3] === 3 ? 7 + (bytes[4] ?? 0) : 10
    })
    const end = request.length - 2
    const host = request[3] === 3 ? request.subarray(5, end).toString() : request.subarray(4, end).join('.')
    requests.push(`${host}:${request.readUInt16BE(end)}`)
    await answer(Buffer.of(5, options.rep ?? 0, 0, 1, 0, 0, 0, 0, 0, 0))
    return options.rep === undefined
  })
}

type Handshake = (client: Socket, answer: (bytes: Buffer) => Promise<void>, requests: string[]) => Promise<boolean>

async function start(options: TestProxyOptions, handshake: Handshake): Promise<TestProxy> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {}).on('close', () => sockets.delete(client))
    client.setNoDelay(true)
    const answer = async (bytes: Buffer): Promise<void> => {
      const parts = options.byteByByte ? Array.from(bytes, (byte) => Buffer.of(byte)) : [bytes]
      for (const part of parts) await new Promise((resolve) => client.write(part, resolve))
    }
    void handshake(client, answer, requests).then((open) => {
      if (!open) return client.end()
      const far = connect(options.targetPort, '127.0.0.1')
      far.on('error', () => client.destroy()).on('close', () => client.destroy())
      client.on('close', () => far.destroy())
      return client.pipe(far).pipe(client)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Reads until `length` of what came is known and there; what follows goes back. */
function readUntil(socket: Socket, length: (bytes: Buffer) => number | undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      bytes = Buffer.concat([bytes, chunk])
      const end = length(bytes)
      if (end === undefined || bytes.length < end) return
      socket.off('readable', onReadable)
      if (bytes.length > end) socket.unshift(bytes.subarray(end))
      resolve(bytes.subarray(0, end))
    }
    socket.on('readable', onReadable)
  })
}
