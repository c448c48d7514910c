import { describe, expect, it } from 'vitest'
import { CompiledPolicy, compiledPolicy } from '../../src/policy/compiled-policy.js'
import { MAX_CLIENT_SUBJECT_CHARACTERS, MAX_CLIENT_SUBJECTS, SubjectList } from '../../src/policy/subject-list.js'

const ANN = 'CN=ann,O=Example'

describe('SubjectList', () => {
  it('has whole subjects, letter by letter', () => {
    const list = SubjectList.of([ANN, 'CN=bob']) as SubjectList
    expect([ANN, 'CN=bob'].every((subject) => list.has(subject))).toBe(true)
    const others = [
      'CN=ann',
      'O=Example',
      'CN=ann,O=Example,C=DE',
      'O=Example,CN=ann',
      'cn=ann,o=example',
      `${ANN} `,
      '',
    ]
    expect(others.filter((subject) => list.has(subject))).toEqual([])
  })

  it('has no client without a certificate', () => {
    expect([SubjectList.of([]), SubjectList.of([ANN])].map((list) => (list as SubjectList).has(undefined))).toEqual([
      false,
      false,
    ])
  })

  it.each([
    'CN=ann',
    'cn=ann',
    'CN=',
    'CN=ann+UID=7,O=Example\\, Ltd',
    'emailAddress=ann@example.com,CN=Ann',
    '2.5.4.3=ann',
    '1.3.6.1.4.1.1466.0=#04024869',
    'CN=安',
    'CN=a\\0Ab',
  ])('takes %j', (subject) => {
    expect((SubjectList.of([subject]) as SubjectList).has(subject)).toBe(true)
  })

  it.each(['', 'ann', '=ann', ' CN=ann', '/CN=ann', 'CN', '2=ann', '2.=ann', '2.5.=ann', '-a=b', 'a.b=c', 'é=b'])(
    'refuses %j, which is none',
    (subject) => {
      expect(SubjectList.of([ANN, subject])).toBe(`'${subject}' is no subject such as CN=ann,O=Example`)
    },
  )

  it.each(['subject=CN=ann', 'subject= CN=ann', 'Subject=CN=ann'])('refuses %j, a line of openssl', (subject) => {
    expect(SubjectList.of([subject])).toBe(
      `'${subject}': leave out 'subject=', which openssl writes before the subject`,
    )
  })

  it(`has ${MAX_CLIENT_SUBJECTS} subjects at most`, () => {
    const subjects = Array.from({ length: MAX_CLIENT_SUBJECTS }, (_, index) => `CN=${index}`)
    expect((SubjectList.of(subjects) as SubjectList).has(`CN=${MAX_CLIENT_SUBJECTS - 1}`)).toBe(true)
    expect(SubjectList.of([...subjects, ANN])).toBe('at most 256 subjects')
  })

  it(`has subjects of ${MAX_CLIENT_SUBJECT_CHARACTERS} characters at most`, () => {
    const longest = 'CN='.padEnd(MAX_CLIENT_SUBJECT_CHARACTERS, 'x')
    expect((SubjectList.of([longest]) as SubjectList).has(longest)).toBe(true)
    expect(SubjectList.of([`${longest}x`])).toBe('a subject has at most 1024 characters')
  })
})

describe('a policy with subjects of clients', () => {
  it('keeps a copy of them', () => {
    const clientSubjects = [ANN]
    const compiled = compiledPolicy({ clientSubjects })
    clientSubjects.push('CN=bob')
    expect([compiled?.policy.clientSubjects, compiled?.clientSubjects?.has('CN=bob')]).toEqual([[ANN], false])
    expect(compiledPolicy({ maxClients: 1 })?.clientSubjects).toBeUndefined()
  })

  it.each([
    [[], 'clientSubjects must not be empty: leave it out for no limit'],
    [['ann'], "clientSubjects: 'ann' is no subject such as CN=ann,O=Example"],
  ])('refuses %j', (clientSubjects, message) => {
    expect(() => new CompiledPolicy({ clientSubjects })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', message }),
    )
  })
})
