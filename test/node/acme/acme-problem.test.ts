import { describe, expect, it } from 'vitest'
import { LinkSocksError } from '../../../src/errors.js'
import { REMOTE_TEXT_LIMIT } from '../../../src/log.js'
import { AcmeProblem, problemText } from '../../../src/node/acme/acme-problem.js'

const type = (name: string): string => `urn:ietf:params:acme:error:${name}`

describe('problemText()', () => {
  it.each<[string, unknown, { type: string | undefined; text: string }]>([
    [
      'type and detail',
      { type: type('rateLimited'), detail: 'slow down' },
      { type: 'rateLimited', text: 'rateLimited: slow down' },
    ],
    ['a detail alone', { detail: 'no' }, { type: undefined, text: 'no' }],
    ['a type alone', { type: type('caa') }, { type: 'caa', text: 'caa' }],
    ['a type of another kind', { type: 'about:blank', detail: 'no' }, { type: undefined, text: 'no' }],
    [
      'the first subproblem',
      {
        type: type('compound'),
        detail: 'two',
        subproblems: [{ type: type('dns'), detail: 'no such name' }, { detail: 'x' }],
      },
      { type: 'compound', text: 'compound: two (dns: no such name)' },
    ],
    ['nothing', {}, { type: undefined, text: 'no reason given' }],
    ['null', null, { type: undefined, text: 'no reason given' }],
    ['a text', '<html>', { type: undefined, text: 'no reason given' }],
    ['a list', [1], { type: undefined, text: 'no reason given' }],
    ['fields of other kinds', { type: 1, detail: {}, subproblems: 'x' }, { type: undefined, text: 'no reason given' }],
    [
      'a subproblem that is none',
      { detail: 'a', subproblems: [null] },
      { type: undefined, text: 'a (no reason given)' },
    ],
  ])('reads %s', (_what, problem, expected) => {
    expect(problemText(problem)).toEqual(expected)
  })

  it('shows control and bidi characters as numbers, of subproblems too', () => {
    const { text } = problemText({ detail: 'a\n\u001b[31mb\u202e', subproblems: [{ detail: '\u2066\u0000' }] })
    expect(text).toBe('a\\u{a}\\u{1b}[31mb\\u{202e} (\\u{2066}\\u{0})')
  })

  it('cuts what is huge, whichever part of it is', () => {
    const huge = 'x'.repeat(1 << 20)
    for (const problem of [{ detail: huge }, { type: type(huge) }, { detail: 'a', subproblems: [{ detail: huge }] }]) {
      expect(problemText(problem).text.length).toBeLessThan(REMOTE_TEXT_LIMIT + 10)
    }
  })

  it('reads one level of subproblems, however deep they are nested', () => {
    const depth = 100_000
    const nested = `${'{"detail":"d","subproblems":['.repeat(depth)}{}${']}'.repeat(depth)}`
    expect(problemText(JSON.parse(nested)).text).toBe('d (d)')
  })
})

describe('AcmeProblem', () => {
  it('is an ERR_CONNECT that says nothing of validation, of passing and of a time unless told', () => {
    const problem = new AcmeProblem('why')
    expect(problem).toBeInstanceOf(LinkSocksError)
    const { code, type: none, retryAfterMs, isValidation, isPassing } = problem
    expect({ code, none, retryAfterMs, isValidation, isPassing }).toEqual({
      ...{ code: 'ERR_CONNECT', none: undefined, retryAfterMs: undefined, isValidation: false, isPassing: false },
    })
  })
})
