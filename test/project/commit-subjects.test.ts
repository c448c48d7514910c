import { describe, expect, it } from 'vitest'
import { checkSubjects, subjectProblem } from '../../scripts/ci/commit-subjects.mjs'
import { CiScene } from './ci-scene.js'

describe('subjectProblem', () => {
  it.each([
    'fix(mux): keep credit across a resume',
    'docs: name the processor',
    'feat(api,relay)!: tokens carry a policy',
    `test(e2e): ${'x'.repeat(61)}`,
  ])('allows "%s"', (subject) => {
    expect(subjectProblem(subject)).toBeUndefined()
  })

  it.each([
    [`test(e2e): ${'x'.repeat(62)}`, /^has 73 characters, 72 are allowed$/],
    ['keep credit across a resume', /is not of the form/],
    ['fixed(mux): keep credit', /is not of the form/],
    ['fix(): keep credit', /is not of the form/],
    ['fix(mux):keep credit', /is not of the form/],
    ['fix(mux): ', /is not of the form/],
    ['Fix(mux): keep credit', /is not of the form/],
    ['', /is not of the form/],
  ])('refuses "%s"', (subject, problem) => {
    expect(subjectProblem(subject)).toMatch(problem)
  })

  it('counts characters, not UTF-16 units', () => {
    expect(subjectProblem(`docs: ${'😀'.repeat(66)}`)).toBeUndefined()
  })
})

describe('checkSubjects', () => {
  async function repository(...subjects: readonly string[]): Promise<{ scene: CiScene; base: string }> {
    const scene = await CiScene.create()
    const base = (await scene.git(['rev-parse', 'HEAD'])).trim()
    for (const subject of subjects) await scene.git(['commit', '-q', '--allow-empty', '-m', subject])
    return { scene, base }
  }

  it('names every commit after the base whose subject is wrong', async () => {
    const { scene, base } = await repository('oops', 'fix(mux): keep credit', 'y'.repeat(80))
    const { problem } = checkSubjects(base, scene.folder)
    expect(problem?.split('\n')).toEqual([
      'commit subjects:',
      expect.stringMatching(/^[0-9a-f]+ "y{80}" has 80 characters/),
      expect.stringMatching(/^[0-9a-f]+ "oops" is not of the form/),
    ])
  })

  it('leaves alone what came before the base, and merges', async () => {
    const { scene } = await repository('oops')
    const base = (await scene.git(['rev-parse', 'HEAD'])).trim()
    await scene.git(['checkout', '-q', '-b', 'side', 'HEAD~1'])
    await scene.git(['commit', '-q', '--allow-empty', '-m', 'fix: on the side'])
    await scene.git(['checkout', '-q', 'main'])
    await scene.git(['merge', '-q', '--no-ff', '-m', 'Merge branch side', 'side'])
    expect(checkSubjects(base, scene.folder)).toEqual({})
  })

  it('says so where the clone does not have the base', async () => {
    const { scene, base } = await repository('oops', 'fix: last')
    await scene.git(['clone', '-q', '--depth', '1', `file://${scene.folder}`, 'shallow'])
    const { problem, unchecked } = checkSubjects(base, `${scene.folder}/shallow`)
    expect([problem, unchecked]).toEqual([undefined, expect.stringContaining(`no commit ${base}`)])
  })
})
