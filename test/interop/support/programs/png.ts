import { deflateSync, inflateSync } from 'node:zlib'

/** Red, green, blue, alpha. */
export interface Image {
  readonly width: number
  readonly height: number
  /** Four bytes a pixel, row by row. */
  readonly rgba: Buffer
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
const HEAD_BYTES = 8

/** CRC-32 of PNG's annex D, bit by bit. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  return Buffer.concat([u32(data.length), body, u32(crc32(body))])
}

/** A PNG of one colour. */
export function onePixelPng(red: number, green: number, blue: number): Buffer {
  const header = Buffer.concat([u32(1, 1), Buffer.of(8, 2, 0, 0, 0)])
  const pixels = deflateSync(Buffer.of(0, red, green, blue))
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

/** Reads a PNG of 8-bit true colour, with or without alpha, not interlaced. @throws for any other */
export function decodePng(png: Buffer): Image {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('not a PNG')
  const data: Buffer[] = []
  let header: Buffer = Buffer.alloc(0)
  for (let at = 8; at < png.length; at += png.readUInt32BE(at) + 12) {
    const type = png.toString('latin1', at + 4, at + HEAD_BYTES)
    const body = png.subarray(at + HEAD_BYTES, at + HEAD_BYTES + png.readUInt32BE(at))
    if (type === 'IHDR') header = body
    if (type === 'IDAT') data.push(body)
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const [depth, colour, , , interlace] = header.subarray(8)
  if (depth !== 8 || (colour !== 2 && colour !== 6) || interlace !== 0) throw new Error('another kind of PNG')
  const channels = colour === 2 ? 3 : 4
  const pixels = unfilter(inflateSync(Buffer.concat(data)), width * channels, height, channels)
  return { width, height, rgba: channels === 4 ? pixels : withAlpha(pixels) }
}

/** Undoes the filters of each row (PNG section 9). */
function unfilter(raw: Buffer, stride: number, height: number, channels: number): Buffer {
  const pixels = Buffer.alloc(stride * height)
  for (let row = 0; row < height; row++) {
    const filter = raw[row * (stride + 1)] ?? 0
    for (let index = 0; index < stride; index++) {
      const at = row * stride + index
      const left = index < channels ? 0 : (pixels[at - channels] ?? 0)
      const up = row === 0 ? 0 : (pixels[at - stride] ?? 0)
      const corner = row === 0 || index < channels ? 0 : (pixels[at - stride - channels] ?? 0)
      pixels[at] = (raw[row * (stride + 1) + 1 + index] ?? 0) + predict(filter, left, up, corner)
    }
  }
  return pixels
}

function predict(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 0:
      return 0
    case 1:
      return left
    case 2:
      return up
    case 3:
      return (left + up) >> 1
    case 4:
      return paeth(left, up, corner)
    default:
      throw new Error(`filter ${filter}`)
  }
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const [byLeft, byUp, byCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  if (byLeft <= byUp && byLeft <= byCorner) return left
  return byUp <= byCorner ? up : corner
}

function withAlpha(rgb: Buffer): Buffer {
  const rgba = Buffer.alloc((rgb.length / 3) * 4, 255)
  for (let pixel = 0; pixel < rgb.length / 3; pixel++) rgb.copy(rgba, pixel * 4, pixel * 3, pixel * 3 + 3)
  return rgba
}
