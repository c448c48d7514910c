import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { StreamDuplex, toDuplex } from '../../../src/node/net/stream-duplex.js'
import type { ByteStream, ByteStreamHandler } from '../../../src/ports.js'
import { pattern } from '../../contract/pattern.js'
import { StreamRecorder } from '../../contract/stream-recorder.js'
import { until, untilStill } from '../../support/wait.js'
import { tcpStreamPair } from './sockets.js'

const MIB = 1024 * 1024
const reason = new LinkSocksError('ERR_CANCELLED', 'given up')

/** A Duplex over one end of a TCP connection, and the other end. */
async function open(): Promise<{ duplex: Duplex; far: ByteStream; told: StreamRecorder }> {
  const { a, b } = await tcpStreamPair()
  const duplex = toDuplex(a)
  duplex.on('error', () => {})
  onTestFinished(() => {
    duplex.destroy()
    b.abort(reason)
  })
  return { duplex, far: b, told: new StreamRecorder(b) }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A ByteStream whose far side is the test. */
class ScriptedStream implements ByteStream {
  readonly calls: string[] = []
  readonly writes: Uint8Array[] = []
  consumed = 0
  handler: ByteStreamHandler = { data() {}, end() {}, written() {}, close() {} }

  start(handler: ByteStreamHandler): void {
    this.handler = handler
  }

  handBack(unread: readonly Uint8Array[]): void {
    this.calls.push(`handBack ${unread.flatMap((chunk) => [...chunk]).join()}`)
  }

  consume(bytes: number): void {
    this.consumed += bytes
  }

  write(chunk: Uint8Array): void {
    this.writes.push(chunk)
  }

  end(): void {
    this.calls.push('end')
  }

  close(): void {
    this.calls.push('close')
  }

  abort(error: LinkSocksError): void {
    this.calls.push(`abort ${error.code}`)
  }
}

function scripted(): { stream: ScriptedStream; duplex: StreamDuplex } {
  const stream = new ScriptedStream()
  return { stream, duplex: new StreamDuplex(stream) }
}

describe('toDuplex', () => {
  it('carries megabytes both ways through pipelines', async () => {
    const { duplex, far } = await open()
    const echo = toDuplex(far)
    const [sent, got] = [createHash('sha256'), createHash('sha256')]
    const chunks = Array.from({ length: 160 }, (_, i) => Buffer.from(pattern(100_003, i)))
    for (const chunk of chunks) sent.update(chunk)
    await Promise.all([
      pipeline(echo, echo),
      pipeline(
        Readable.from(chunks),
        duplex,
        new Writable({
          write(chunk: Buffer, _encoding, done) {
            got.update(chunk)
            done()
          },
        }),
      ),
    ])
    expect(got.digest('hex')).toBe(sent.digest('hex'))
  })

  it('half-closes: an answer comes after end()', async () => {
    const { duplex, far, told } = await open()
    told.start()
    duplex.end('question')
    await until(() => told.ends === 1)
    expect(Buffer.from(told.bytes()).toString()).toBe('question')
    far.write(new TextEncoder().encode('answer'))
    far.end()
    expect(await readText(duplex)).toBe('answer')
    await until(() => duplex.closed && told.closed)
    expect(told.closes).toEqual([undefined])
  })

  it('stays writable after the far side ended', async () => {
    const { duplex, far, told } = await open()
    told.start()
    far.end()
    expect(await readText(duplex)).toBe('')
    expect(duplex.destroyed).toBe(false)
    duplex.end('late')
    await until(() => told.closed)
    expect(Buffer.from(told.bytes()).toString()).toBe('late')
    expect(told.closes).toEqual([undefined])
  })

  it('resets the far side on destroy(error)', async () => {
    const { duplex, told } = await open()
    told.start()
    duplex.destroy(new Error('no more'))
    await until(() => told.closed)
    expect(told.closes[0]).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('closes in order on destroy() when everything has left', async () => {
    const { duplex, far, told } = await open()
    told.start()
    duplex.write('all of it')
    await until(() => duplex.writableLength === 0)
    duplex.destroy()
    await until(() => told.ends === 1)
    far.end()
    await until(() => told.closed)
    expect([Buffer.from(told.bytes()).toString(), told.closes]).toEqual(['all of it', [undefined]])
  })

  it('resets the far side on destroy() with bytes still queued', async () => {
    const { duplex, told } = await open()
    told.consuming = false
    told.start()
    duplex.write(pattern(16 * MIB))
    await untilStill(() => told.received)
    duplex.destroy()
    told.consumeAll()
    await until(() => told.closed)
    expect([told.ends, told.closes[0]?.code]).toEqual([0, 'ERR_STREAM_RESET'])
  })

  it('fails with the error of a reset', async () => {
    const { duplex, far } = await open()
    duplex.resume()
    far.abort(reason)
    await expect(finished(duplex)).rejects.toMatchObject({ code: 'ERR_STREAM_RESET' })
    expect(duplex.destroyed).toBe(true)
  })

  it('consumes what was read, by the next tick', async () => {
    const { stream, duplex } = scripted()
    for (let i = 0; i < 16; i++) stream.handler.data(new Uint8Array(16 * 1024))
    await tick()
    expect(stream.consumed).toBe(0)
    duplex.read(1_000)
    while (duplex.read() !== null) {}
    await tick()
    expect(stream.consumed).toBe(256 * 1024)
  })

  it('consumes at once what a reader takes in the event that brings it', () => {
    const { stream, duplex } = scripted()
    duplex.on('data', () => {})
    duplex.resume()
    stream.handler.data(new Uint8Array(3))
    return tick().then(() => {
      stream.handler.data(new Uint8Array(5))
      expect(stream.consumed).toBe(8)
    })
  })

  it('gives the stream back with what was not read, and consumes the rest', async () => {
    const { stream, duplex } = scripted()
    duplex.once('data', (chunk: Buffer) => {
      duplex.pause()
      duplex.unshift(chunk.subarray(2))
    })
    await tick()
    stream.handler.data(Uint8Array.of(1, 2, 3, 4))
    stream.handler.data(Uint8Array.of(5))
    expect(duplex.release()).toBe(stream)
    expect(stream.calls).toEqual(['handBack 3,4,5'])
    expect(stream.consumed).toBe(2)
    expect(duplex.destroyed).toBe(true)
    await tick()
    // neither closed nor aborted: it is somebody else's now
    expect(stream.calls).toEqual(['handBack 3,4,5'])
    expect(stream.consumed).toBe(2)
  })

  it('keeps what it was given when the stream uses the memory again', () => {
    const { stream, duplex } = scripted()
    const memory = new Uint8Array([1, 2, 3])
    stream.handler.data(memory)
    memory.fill(9)
    expect([...(duplex.read() as Buffer)]).toEqual([1, 2, 3])
  })

  it('calls back for a write when all its bytes have left, whole batches at a time', () => {
    const { stream, duplex } = scripted()
    const done: number[] = []
    for (const size of [10, 20, 30]) duplex.write(new Uint8Array(size), () => done.push(size))
    expect(stream.writes.map((chunk) => chunk.byteLength)).toEqual([10])
    stream.handler.written(9)
    expect(done).toEqual([])
    stream.handler.written(1)
    expect(stream.writes.map((chunk) => chunk.byteLength)).toEqual([10, 20, 30])
    expect(done).toEqual([10])
    stream.handler.written(50)
    expect(done).toEqual([10, 20, 30])
  })

  it('takes empty writes', async () => {
    const { stream, duplex } = scripted()
    duplex.write('')
    duplex.end('')
    await once(duplex, 'finish')
    expect(stream.calls).toEqual(['end'])
  })

  it('lets a reader have everything when the far side closes in order', async () => {
    const { stream, duplex } = scripted()
    stream.handler.data(pattern(100_000))
    stream.handler.close()
    const chunks: Buffer[] = []
    for await (const chunk of duplex) chunks.push(chunk as Buffer)
    expect(Buffer.compare(Buffer.concat(chunks), pattern(100_000))).toBe(0)
    await until(() => duplex.closed)
    expect(duplex.errored).toBe(null)
  })

  it('fails a write that nobody takes any more, after everything was read', async () => {
    const { stream, duplex } = scripted()
    duplex.on('error', () => {})
    duplex.write('pending')
    stream.handler.data(new Uint8Array([1, 2, 3]))
    stream.handler.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(duplex.destroyed).toBe(false)
    expect(duplex.read()?.length).toBe(3)
    duplex.resume()
    await until(() => duplex.closed)
    expect(duplex.errored).toMatchObject({ code: 'ERR_STREAM_RESET' })
  })

  it('fails a first write after the far side closed and everything was read', async () => {
    const { stream, duplex } = scripted()
    duplex.on('error', () => {})
    stream.handler.end()
    duplex.resume()
    await once(duplex, 'end')
    stream.handler.close()
    duplex.write('too late')
    await until(() => duplex.closed)
    expect(duplex.errored).not.toBe(null)
  })

  it('ends writing by itself when the far side closes after its end', async () => {
    const { stream, duplex } = scripted()
    stream.handler.end()
    duplex.resume()
    await once(duplex, 'end')
    expect(duplex.writable).toBe(true)
    stream.handler.close()
    await until(() => duplex.closed)
    expect(duplex.errored).toBe(null)
  })

  it('wraps a foreign error and passes its own through', () => {
    const first = scripted()
    first.duplex.on('error', () => {})
    first.duplex.destroy(new Error('foreign'))
    const second = scripted()
    second.duplex.on('error', () => {})
    second.duplex.destroy(new LinkSocksError('ERR_SHUTTING_DOWN', 'bye'))
    expect([first.stream.calls, second.stream.calls]).toEqual([['abort ERR_CANCELLED'], ['abort ERR_SHUTTING_DOWN']])
  })
})

async function readText(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'end')
  return Buffer.concat(chunks).toString()
}
