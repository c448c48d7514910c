import { maskMemory } from '../net/mask-memory.js'

/** Bytes of a masking key (RFC 6455 section 5.3). */
export const KEY_BYTES = 4
/** Below this, single bytes are faster than a call, or a view of words. */
const WORDS_FROM_BYTES = 128

/**
 * Masks or unmasks `bytes` in place (RFC 6455 section 5.3), at least four bytes at a time.
 * @param at how many bytes of the payload came before these
 */
export function applyMask(bytes: Uint8Array, key: Uint8Array, at = 0): void {
  const length = bytes.byteLength
  if (length < WORDS_FROM_BYTES) return maskBytes(bytes, 0, length, key, at)
  const memory = maskMemory()
  if (memory.holds(bytes)) return memory.mask(bytes, littleEndian(key, at))
  const aligned = -bytes.byteOffset & 3
  maskBytes(bytes, 0, aligned, key, at)
  const words = (length - aligned) >> 2
  maskWords(new Int32Array(bytes.buffer, bytes.byteOffset + aligned, words), keyWord(key, at + aligned))
  maskBytes(bytes, aligned + words * 4, length, key, at)
}

/** Masks what lies in `frame` from `start` to `end`, with the key that lies before it. */
export function maskBehindKey(frame: Uint8Array, start: number, end: number): void {
  const keyAt = start - KEY_BYTES
  if (end - start >= WORDS_FROM_BYTES) applyMask(frame.subarray(start, end), frame.subarray(keyAt, start))
  else
    for (let i = 0; i < end - start; i += 1)
      frame[start + i] = (frame[start + i] as number) ^ (frame[keyAt + (i & 3)] as number)
}

function maskBytes(bytes: Uint8Array, from: number, to: number, key: Uint8Array, at: number): void {
  for (let i = from; i < to; i += 1) bytes[i] = (bytes[i] as number) ^ (key[(at + i) & 3] as number)
}

const turned = new Uint8Array(KEY_BYTES)
const turnedWord = new Int32Array(turned.buffer)

/** The key as it lies over bytes that begin `at` bytes into the payload, the first one in the lowest bits. */
function littleEndian(key: Uint8Array, at: number): number {
  const byte = (i: number): number => key[(at + i) & 3] as number
  return byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)
}

/** The key as it lies over a word that begins `at` bytes into the payload, in this machine's byte order. */
function keyWord(key: Uint8Array, at: number): number {
  for (let i = 0; i < KEY_BYTES; i += 1) turned[i] = key[(at + i) & 3] as number
  return turnedWord[0] as number
}

function maskWords(words: Int32Array, key: number): void {
  const even = words.length & ~7
  let i = 0
  for (; i < even; i += 8) {
    words[i] = (words[i] as number) ^ key
    words[i + 1] = (words[i + 1] as number) ^ key
    words[i + 2] = (words[i + 2] as number) ^ key
    words[i + 3] = (words[i + 3] as number) ^ key
    words[i + 4] = (words[i + 4] as number) ^ key
    words[i + 5] = (words[i + 5] as number) ^ key
    words[i + 6] = (words[i + 6] as number) ^ key
    words[i + 7] = (words[i + 7] as number) ^ key
  }
  for (; i < words.length; i += 1) words[i] = (words[i] as number) ^ key
}
