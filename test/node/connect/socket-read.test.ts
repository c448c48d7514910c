import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { readMessage } from '../../../src/node/connect/socket-read.js'

const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const far = await accepted
  near.on('error', () => {})
  far.on('error', () => {}).setNoDelay(true)
  closers.push(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return { near, far }
}

/** One length byte and that many bytes of text. */
function decodeText(bytes: Uint8Array): { value: string; bytesRead: number } | undefined {
  const end = 1 + (bytes[0] ?? Number.POSITIVE_INFINITY)
  if (bytes.length < end) return undefined
  return { value: Buffer.from(bytes.subarray(1, end)).toString(), bytesRead: end }
}

const encodeText = (text: string): Buffer => Buffer.concat([Buffer.of(text.length), Buffer.from(text)])
const never = new AbortController().signal

describe('readMessage', () => {
  it('keeps what shares a segment with the message for whoever reads next', async () => {
    const { near, far } = await pair()
    far.write(Buffer.concat([encodeText('one'), encodeText('two'), Buffer.from('rest')]))
    expect(await readMessage(near, decodeText, { maxBytes: 10, signal: never })).toBe('one')
    expect(await readMessage(near, decodeText, { maxBytes: 10, signal: never })).toBe('two')
    const rest = await new Promise((resolve) => near.once('data', resolve))
    expect(String(rest)).toBe('rest')
  })

  it('reads a message that is split at every byte', async () => {
    const { near, far } = await pair()
    const reading = readMessage(near, decodeText, { maxBytes: 10, signal: never })
    for (const byte of encodeText('split')) await new Promise((resolve) => far.write(Buffer.of(byte), resolve))
    expect(await reading).toBe('split')
  })

  it('fails when more than the limit came without a message', async () => {
    const { near, far } = await pair()
    far.write(Buffer.concat([Buffer.of(200), Buffer.alloc(11)]))
    await expect(readMessage(near, decodeText, { maxBytes: 11, signal: never })).rejects.toMatchObject({
      code: 'ERR_PROXY_FAILED',
      message: 'its answer is longer than 11 bytes',
    })
  })

  it('fails when the connection ends, before or while it waits', async () => {
    const { near, far } = await pair()
    const reading = readMessage(near, decodeText, { maxBytes: 10, signal: never })
    far.end(Buffer.of(5, 1))
    await expect(reading).rejects.toMatchObject({ code: 'ERR_PROXY_FAILED', message: 'it closed the connection' })
    near.destroy()
    await expect(readMessage(near, decodeText, { maxBytes: 10, signal: never })).rejects.toMatchObject({
      code: 'ERR_PROXY_FAILED',
    })
  })

  it('ends when cancelled and leaves no listener', async () => {
    const { near } = await pair()
    const names = ['readable', 'end', 'close'] as const
    const before = names.map((name) => near.listenerCount(name))
    const controller = new AbortController()
    const reading = readMessage(near, decodeText, { maxBytes: 10, signal: controller.signal })
    controller.abort()
    await expect(reading).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(names.map((name) => near.listenerCount(name))).toEqual(before)
    await expect(readMessage(near, decodeText, { maxBytes: 10, signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
  })

  it('passes on what the decoder throws', async () => {
    const { near, far } = await pair()
    far.write('x')
    const decode = (): undefined => {
      throw new RangeError('not my protocol')
    }
    await expect(readMessage(near, decode, { maxBytes: 10, signal: never })).rejects.toThrow('not my protocol')
  })
})
