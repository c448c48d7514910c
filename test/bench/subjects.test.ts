import { describe, expect, it } from 'vitest'
import { findSubjects } from '../../bench/subjects/index.mjs'
import { inFolder } from '../project/support.js'

/** The names of those that take part, found or missing. */
function namesOf(wanted: readonly string[] | undefined): Promise<readonly string[]> {
  return inFolder(new Map(), async (folder) => {
    const { subjects, missing } = findSubjects(folder, undefined, wanted)
    return [...subjects, ...missing].map(({ name }) => name)
  })
}

const ON_REQUEST = ['noresume', 'http', 'observed', 'policy', 'wss', 'tlsrelay']

describe('subjects', () => {
  it('are without those on request unless they are named', async () => {
    const names = await namesOf(undefined)
    expect(names).toEqual(expect.arrayContaining(['linksocks', 'relay', 'direct', 'v2ray', 'ssh', 'deployed']))
    expect(names.filter((name) => ON_REQUEST.includes(name))).toEqual([])
  })

  it.each(ON_REQUEST)('%s takes part where it is named', async (name) => {
    expect(await namesOf([name, 'relay'])).toEqual([name, 'relay'])
  })

  it('over TLS take part in every mode', async () => {
    const { subjects } = await inFolder(new Map(), async (folder) =>
      findSubjects(folder, undefined, ['wss', 'tlsrelay']),
    )
    for (const { modes } of subjects) expect(modes).toEqual(['forward', 'reverse', 'agent'])
    expect(subjects).toHaveLength(2)
  })
})
