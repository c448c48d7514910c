import { describe, expect, it } from 'vitest'
import type { Policy } from '../../dashboard/src/api/types.js'
import {
  changesOf,
  draftOf,
  moved,
  newHours,
  newRule,
  type PolicyDraft,
  placeOf,
  readDraft,
} from '../../dashboard/src/views/policy/draft.js'

const FULL: Policy = {
  egress: [
    { action: 'deny', hosts: ['@private', '*.corp.example'] },
    { action: 'allow', ports: [443, [8000, 8999]], protocol: 'tcp' },
  ],
  egress_default: 'deny',
  max_streams: 100,
  max_clients: 0,
  connects_per_minute: 600,
  sources: ['198.51.100.0/24', '2001:db8::/32'],
  client_subjects: ['CN=ann,O=Example\\, Ltd', 'CN=Bob Builder', 'CN=ends in a blank\\ '],
  hours: [{ days: ['mon', 'sun'], from: '08:00', to: '24:00', zone: 'Europe/Berlin' }],
  rate: { up: 10_000_000, stream_down: 1 },
  quota: { bytes: 50_000_000_000, period: 'month', direction: 'down' },
}

describe('a draft', () => {
  it('takes a policy there and back', () => {
    expect(readDraft(draftOf(FULL))).toEqual({ policy: FULL, unread: [] })
  })

  it('of no policy makes none', () => {
    expect(readDraft(draftOf(null))).toEqual({ policy: {}, unread: [] })
  })

  it('separates hosts and ports by blanks, commas and lines', () => {
    const rule = { ...newRule(), hosts: ' a.example,b.example\n10.0.0.0/8 ', ports: '80, 443;8000-8999' }
    expect(readDraft({ ...draftOf(null), rules: [rule] }).policy.egress).toEqual([
      { action: 'allow', hosts: ['a.example', 'b.example', '10.0.0.0/8'], ports: [80, 443, [8000, 8999]] },
    ])
  })

  it.each([
    ['CN=ann, x,O=Example\n\n  CN=bob \r\nUID=7', ['CN=ann, x,O=Example', 'CN=bob', 'UID=7']],
    // what is escaped stays: a blank, not the one behind a backslash that is escaped itself
    ['CN=a\\ \t', ['CN=a\\ ']],
    ['CN=a\\\\ ', ['CN=a\\\\']],
    ['CN=a\\\\\\ ', ['CN=a\\\\\\ ']],
    ['CN=a\\', ['CN=a\\']],
    [' \n ', undefined],
  ])('takes each line for one subject: %j', (clientSubjects, subjects) => {
    expect(readDraft({ ...draftOf(null), clientSubjects }).policy.client_subjects).toEqual(subjects)
  })

  it('takes all seven days for every day', () => {
    const every = draftOf({ hours: [{ from: '08:00', to: '09:00' }] })
    expect(every.hours[0]?.days).toHaveLength(7)
    expect(readDraft(every).policy.hours).toEqual([{ from: '08:00', to: '09:00' }])
  })

  it.each<[string, Partial<PolicyDraft>, string]>([
    ['egress.1', { rules: [newRule(), { ...newRule(), ports: '80 http' }] }, 'ports'],
    ['max_streams', { counts: { max_streams: '1.5', max_clients: '', connects_per_minute: '' } }, 'count'],
    ['rate.burst', { rate: { up: '', down: '', burst: 'much', stream_up: '', stream_down: '' } }, 'amount'],
    ['quota.bytes', { quota: { bytes: '0', period: 'day', direction: 'both' } }, 'amount'],
    ['hours.0', { hours: [{ ...newHours('UTC'), days: [] }] }, 'days'],
  ])('says that it can’t be read at %s', (place, part, kind) => {
    expect(readDraft({ ...draftOf(null), ...part }).unread).toEqual([{ place, kind }])
  })
})

describe('changesOf()', () => {
  it('is nothing for what was only looked at', () => {
    expect(changesOf(FULL, draftOf(FULL))).toEqual({})
    // both directions are meant by none
    expect(changesOf({ quota: { bytes: 5, period: 'day' } }, draftOf({ quota: { bytes: 5, period: 'day' } }))).toEqual(
      {},
    )
  })

  it('names what differs, and clears what is emptied', () => {
    const draft = draftOf(FULL)
    const emptied = {
      ...draft,
      rules: [],
      sources: ' ',
      clientSubjects: '\n',
      rate: { ...draft.rate, up: '', stream_down: '' },
    }
    expect(changesOf(FULL, { ...emptied, counts: { ...draft.counts, max_streams: '20' } })).toEqual({
      egress: null,
      sources: null,
      client_subjects: null,
      rate: null,
      max_streams: 20,
    })
  })
})

describe('moved()', () => {
  const rules = [newRule(), newRule(), newRule()]
  const order = (from: number, by: -1 | 1): readonly number[] =>
    moved(rules, from, by).map((rule) => rules.indexOf(rule))

  it('changes places with the neighbour, and stays at either end', () => {
    expect([order(2, -1), order(0, 1), order(0, -1), order(2, 1)]).toEqual([
      [0, 2, 1],
      [1, 0, 2],
      [0, 1, 2],
      [0, 1, 2],
    ])
  })
})

describe('placeOf()', () => {
  it.each([
    ['policy: egress rule 4: invalid CIDR "10.0.0.0/33"', 'egress.3'],
    ['policy.egress[0].hosts[2] must be a host', 'egress.0'],
    ['policy: egressDefault must be allow or deny', 'egress_default'],
    ['policy.max_streams must be an integer from 0 to 1000000000', 'max_streams'],
    ['policy: connectsPerMinute must be an integer', 'connects_per_minute'],
    ['policy: sources: invalid address "x"', 'sources'],
    ["policy: clientSubjects: 'egress rule 3' is no subject such as CN=ann,O=Example", 'client_subjects'],
    ['policy.client_subjects must be a list of at most 256 subjects', 'client_subjects'],
    ['unknown field: policy.egress[3].host', 'egress.3'],
    ['policy.hours[1].from must be a time such as 08:00', 'hours.1'],
    ['policy: hours: there is no time zone "X"', 'hours'],
    ['policy.rate.stream_up must be an integer from 1', 'rate.stream_up'],
    ['policy: rate.streamUp must be an integer from 1', 'rate.stream_up'],
    ['policy.quota.bytes must be an integer from 1', 'quota.bytes'],
    ['target must be host:port', undefined],
    ['unknown field: policy.color', undefined],
  ])('%s: %s', (message, place) => {
    expect(placeOf(message)).toBe(place)
  })
})
