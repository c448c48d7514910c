import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { nodeInflate } from '../../../src/node/system/inflate.js'
import { pattern } from '../../contract/pattern.js'

const MIB = 1024 * 1024

describe('nodeInflate', () => {
  it('inflates one member of any size', async () => {
    for (const size of [0, 1, 1_000, 65_536, 65_537, 3 * MIB]) {
      const output = await nodeInflate(gzipSync(pattern(size)), 32 * MIB)
      expect(Buffer.compare(output, pattern(size))).toBe(0)
    }
  })

  it('inflates a part of a larger buffer', async () => {
    const framed = Buffer.concat([Buffer.from('head'), gzipSync('hello'), Buffer.from('tail')])
    const output = await nodeInflate(new Uint8Array(framed).subarray(4, -4), 100)
    expect(Buffer.from(output).toString()).toBe('hello')
  })

  it('allows exactly the limit and no byte more', async () => {
    expect((await nodeInflate(gzipSync(pattern(1_000)), 1_000)).byteLength).toBe(1_000)
    await expect(nodeInflate(gzipSync(pattern(1_001)), 1_000)).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
    await expect(nodeInflate(gzipSync(pattern(1)), 0)).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
    expect((await nodeInflate(gzipSync(''), 0)).byteLength).toBe(0)
  })

  it('stops a bomb at the limit', async () => {
    const bomb = gzipSync(new Uint8Array(200 * MIB), { level: 1 })
    const before = process.memoryUsage().arrayBuffers
    await expect(nodeInflate(bomb, MIB)).rejects.toMatchObject({ code: 'ERR_MESSAGE_TOO_LARGE' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB)
  })

  it('refuses what follows the first member: another member, padding, anything else', async () => {
    const member = gzipSync('hello')
    for (const rest of [gzipSync('world'), gzipSync(''), new Uint8Array(1), new Uint8Array(64), Buffer.from('rest')]) {
      const joined = Buffer.concat([member, rest])
      await expect(nodeInflate(joined, MIB)).rejects.toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
    }
  })

  it('refuses a member that is cut at any byte', async () => {
    const member = gzipSync(pattern(300))
    for (let length = 0; length < member.length; length++) {
      const cut = nodeInflate(member.subarray(0, length), MIB)
      await expect(cut).rejects.toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
    }
  })

  it('refuses zlib format and a wrong checksum', async () => {
    const wrong = gzipSync('hello world, hello')
    wrong.writeUInt32LE(1, wrong.length - 8)
    for (const data of [deflateSync('hello world, hello'), wrong]) {
      await expect(nodeInflate(data, MIB)).rejects.toMatchObject({ code: 'ERR_MESSAGE_INVALID' })
    }
  })

  it('throws nothing but its own error on random bytes', async () => {
    const head = Buffer.from([0x1f, 0x8b, 8, 0])
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, withHead) => {
        const data = withHead ? Buffer.concat([head, bytes]) : bytes
        const outcome = await nodeInflate(data, 1_000).catch((error: unknown) => error)
        expect(
          outcome instanceof LinkSocksError || (outcome instanceof Uint8Array && outcome.byteLength <= 1_000),
        ).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})
