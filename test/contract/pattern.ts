/** Bytes that show where they stand: any loss, swap or repetition changes them. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  // tests take hundreds of megabytes of this: four bytes a step
  const words = new Int32Array(Math.ceil(length / 4))
  let state = seed
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    // the low bits of `state` repeat soon
    words[i] = state ^ (state >>> 15)
  }
  return new Uint8Array(words.buffer, 0, length)
}
