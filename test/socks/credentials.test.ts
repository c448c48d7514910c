import { describe, expect, it } from 'vitest'
import { credentialsMatch } from '../../src/socks/credentials.js'
import { bytesOf } from '../support/test-peer.js'

function match(expected: readonly [string, string], given: readonly [string, string]): boolean {
  const [username, password] = expected
  return credentialsMatch({ username, password }, { username: bytesOf(given[0]), password: bytesOf(given[1]) })
}

describe('credentialsMatch', () => {
  it('accepts the same name and password, up to 255 bytes each', () => {
    expect(match(['user', 'pässword'], ['user', 'pässword'])).toBe(true)
    expect(match(['u'.repeat(255), 'p'.repeat(255)], ['u'.repeat(255), 'p'.repeat(255)])).toBe(true)
  })

  it.each([
    ['user', 'other'],
    ['other', 'password'],
    ['User', 'password'],
    ['user', 'passwor'],
    ['user', 'password1'],
    ['user', 'password\0'],
    ['user', ''],
    ['', 'password'],
    ['password', 'user'],
    ['', ''],
  ])('refuses %j with %j', (username, password) => {
    expect(match(['user', 'password'], [username, password])).toBe(false)
  })

  it('tells the last byte of the longest password', () => {
    expect(match(['u', `${'p'.repeat(254)}a`], ['u', `${'p'.repeat(254)}b`])).toBe(false)
  })

  it('matches nothing to credentials RFC 1929 cannot carry', () => {
    const long = 'p'.repeat(256)
    expect(match(['u', long], ['u', long.slice(1)])).toBe(false)
    expect(match(['u', 'p'.repeat(512)], ['u', ''])).toBe(false)
    expect(match([long, 'p'], [long.slice(1), 'p'])).toBe(false)
  })
})
