import { describe, expect, it } from 'vitest'
import { BAD_FRAMES } from '../support/frames/bad-frames.js'
import { FrameAudit } from '../support/frames/frame-audit.js'
import { closeBody, encodeFrame, FrameReader, type FrameToSend, OPCODE } from '../support/frames/ws-frames.js'

const { continuation, binary, close, ping, pong } = OPCODE

/** What the audit says of frames that a client sent, each byte alone. */
function violations(frames: readonly FrameToSend[], masked = true): readonly string[] {
  const audit = new FrameAudit('client')
  const reader = new FrameReader()
  for (const frame of frames) {
    for (const byte of encodeFrame(frame, masked)) {
      for (const whole of reader.push(Buffer.of(byte))) audit.see(whole)
    }
  }
  expect(reader.midFrame).toBe(false)
  return audit.violations
}

describe('FrameAudit', () => {
  it.each(BAD_FRAMES.filter(({ code }) => code !== 1009))('notes $what', ({ frames }) => {
    expect(violations(frames)).not.toEqual([])
  })

  it('notes a client frame without a mask, and a frame behind the close frame', () => {
    expect(violations([{ opcode: ping }], false)).toEqual([expect.stringContaining('mask')])
    expect(violations([{ opcode: close }, { opcode: ping }])).toEqual([expect.stringContaining('behind')])
  })

  it('notes nothing of what is allowed', () => {
    const payload = Buffer.alloc(70_000, 'p')
    const frames = [
      { opcode: binary, payload },
      { opcode: binary, payload: payload.subarray(0, 126), fin: false },
      { opcode: ping, payload: payload.subarray(0, 125) },
      { opcode: continuation, fin: false },
      { opcode: pong },
      { opcode: continuation, payload: payload.subarray(0, 125) },
      { opcode: close, payload: closeBody(4999, 'ünbroken') },
    ]
    expect(violations(frames)).toEqual([])
  })
})
