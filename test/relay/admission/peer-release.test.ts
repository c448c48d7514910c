import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeLog, encodePartners } from '../../../src/protocol/messages.js'
import { askForRelease, saysItKeepsChannels } from '../../../src/relay/admission/peer-release.js'

const says = (message: string, level = 'trace'): boolean | undefined => {
  const decoded = decodeMessage(encodeLog({ level, message }))
  return decoded && saysItKeepsChannels(decoded)
}

describe('askForRelease', () => {
  it('is the probe that deployed clients answer', () => {
    expect(decodeMessage(askForRelease())).toMatchObject({ level: 'trace', message: expect.stringMatching(/^probe:/) })
  })
})

describe('saysItKeepsChannels', () => {
  it.each(['v1.10.1', '1.10.0', 'v1.9.12', 'v0.99.99'])('takes the answer of %s', (version) => {
    expect(says(`pong:{"version":"${version}"}`)).toBe(true)
  })

  it.each(['v1.10.2', 'v1.10.3', 'v1.11.0', 'v2.0.0', '', 'dev', 'v1.10', '1.10.x', 'v99999.0.0'])(
    'takes %s for one that may not',
    (version) => {
      expect(says(`pong:{"version":"${version}"}`)).toBe(false)
    },
  )

  it('takes a long answer for one that may not', () => {
    expect(says(`pong:${'x'.repeat(100)}"version":"v1.10.1"`)).toBe(false)
  })

  it('looks at no other message', () => {
    expect(says('pong:{"version":"v1.10.1"}', 'debug')).toBeUndefined()
    expect(says('"version":"v1.10.1"')).toBeUndefined()
    const partners = decodeMessage(encodePartners({ count: 1 }))
    expect(partners && saysItKeepsChannels(partners)).toBeUndefined()
  })
})
