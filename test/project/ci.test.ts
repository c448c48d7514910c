import { describe, expect, it } from 'vitest'
import { CiScene, GOOD, type Suite } from './ci-scene.js'

/** Three checks of the repository passed, one skipped: the scene has no commit of the project's. */
const CHECKS = { passed: 3, skipped: 1 }

/** The last line of a run: what the suites count, and the repository's checks. */
function line(passed: number, failed: number, skipped: number): string {
  return `${passed + CHECKS.passed} passed, ${failed} failed, ${skipped + CHECKS.skipped} skipped`
}

describe('.ci/run', () => {
  it('sums up what every suite counted, and ends with 0', async () => {
    const scene = await CiScene.create()
    const { end, output, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([0, line(12, 0, 6)])
    for (const name of ['unit', 'interop', 'contract', 'browser', 'deploy', 'package']) {
      expect(output).toMatch(new RegExp(`^=== ${name}: 2 passed, 0 failed, 1 skipped in \\d+ s$`, 'm'))
      expect(output).toMatch(new RegExp(`^${name} +2 +0 +1 +\\d+ s$`, 'm'))
    }
    expect(output).toContain('commit subjects were not checked: this clone has no commit')
  })

  it('runs the other suites after one has failed', async () => {
    const scene = await CiScene.create()
    scene.suite('test', { counts: '{"passed":5,"failed":3,"skipped":0}', code: 1 })
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(15, 3, 5)])
  })

  it('fails for suites that count no test, or whose counts and end do not agree', async () => {
    const scene = await CiScene.create()
    const bad: readonly (readonly [script: string, suite: Suite, line: string])[] = [
      ['test', {}, 'unit: 0 passed, 1 failed, 0 skipped in 0 s (ended with 0, and counted no test)'],
      [
        'test:interop',
        { counts: '{"passed":0,"failed":0,"skipped":4}' },
        '0 passed, 1 failed, 4 skipped in 0 s (ran no test)',
      ],
      ['test:contract', { ...GOOD, code: 1 }, '2 passed, 1 failed, 1 skipped in 0 s (ended with 1)'],
      ['test:browser', { ...GOOD, shell: 'kill -KILL $$' }, '2 passed, 1 failed, 1 skipped in 0 s (SIGKILL)'],
      ['test:deploy', { counts: '{"passed":-1,"failed":0,"skipped":0}' }, '(ended with 0, and counted no test)'],
      ['test:package', { counts: '{"passed":2,', shell: 'kill -KILL $$' }, '(SIGKILL, and counted no test)'],
    ]
    for (const [script, suite] of bad) scene.suite(script, suite)
    const { end, output, lastLine } = await scene.run()
    for (const [, , reported] of bad) expect(output.replaceAll(/ in \d+ s /g, ' in 0 s ')).toContain(reported)
    expect([end, lastLine]).toEqual([1, line(4, 6, 6)])
  })

  it('fails for a suite that reports failures and ends with 0', async () => {
    const scene = await CiScene.create()
    scene.suite('test:package', { counts: '{"passed":1,"failed":2,"skipped":0}' })
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(11, 2, 5)])
  })

  it('fails for a suite whose programs could not be installed, and runs it all the same', async () => {
    const scene = await CiScene.create()
    scene.program('test/deploy/install.sh', '#!/bin/sh\nexit 3\n')
    const { end, output, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(12, 1, 6)])
    expect(output).toMatch(
      /^=== deploy: 2 passed, 1 failed, 1 skipped in \d+ s \(test\/deploy\/install.sh ended with 3\)$/m,
    )
  })

  it('runs no suite without its packages: each has failed', async () => {
    const scene = await CiScene.create()
    scene.program('bin/ci.sh', 'exit 1')
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, '2 passed, 7 failed, 1 skipped'])
  })

  it('fails where git sees something that the run left', async () => {
    const scene = await CiScene.create()
    scene.suite('test', { ...GOOD, shell: 'echo left > left.txt' })
    const { end, output, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, '14 passed, 1 failed, 7 skipped'])
    expect(output).toContain('?? left.txt')
  })

  it('fails for a lock that names hosts', async () => {
    const scene = await CiScene.create()
    scene.file('package-lock.json', '{"resolved": "https://packages.example.com/a.tgz"}')
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, '14 passed, 1 failed, 7 skipped'])
  })

  it('runs the others after a suite that removes what its counts belong into', async () => {
    const scene = await CiScene.create()
    scene.suite('test', { ...GOOD, shell: 'rm -r "$(dirname "$SUITE_COUNTS")"' })
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(10, 1, 5)])
  })

  it('has the last word, and ends, whatever a suite leaves running in a session of its own', async () => {
    const scene = await CiScene.create()
    // it says that it is there, and later something more; only its own pipe is open then
    const left = 'setsid sh -c "echo there; while echo more; do sleep 0.2; done" & sleep 0.5'
    scene.suite('test:package', { ...GOOD, shell: left })
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([0, line(12, 0, 6)])
  })

  it('needs a Node that is new enough', async () => {
    const scene = await CiScene.create()
    scene.program('bin/node', '#!/bin/sh\n[ "$1" = --version ] && exec echo v20.18.1\nexit 1\n')
    const { end, output, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, '0 passed, 1 failed, 0 skipped'])
    expect(output).toContain('Node v20.18.1 is too old')
  })

  it('ends the suite that runs, with all that it started, when it is told to end, and still counts', async () => {
    const scene = await CiScene.create()
    scene.suite('test', { shell: 'sleep 600 & echo "started $!"; wait' })
    // the run is over when nobody holds its output any more, the sleeper included
    const { end, lastLine } = await scene.run({ output: 'started ', act: (ci) => process.kill(ci, 'SIGTERM') })
    expect([end, lastLine]).toEqual([143, '3 passed, 6 failed, 1 skipped'])
  })
})

const PASSES = "it('passes', () => {})"
const SKIPS = "it.runIf(false)('is left out', () => {})"
const FAILS = "it('fails', () => { throw new Error() })"
const KILLS = "it('kills', async () => { process.kill(process.ppid, 'SIGKILL'); await new Promise(() => {}) })"
const BAD_HOOK = `beforeAll(() => { throw new Error() })\n${PASSES}`
const UNCAUGHT = `it('passes before it', () => new Promise((resolve) => {
  void Promise.reject(new Error())
  setImmediate(resolve)
}))`

/** A test file with these lines. */
function file(...lines: readonly string[]): string {
  return ["import { beforeAll, it } from 'vitest'", ...lines].join('\n')
}

const GOOD_FILE = { 'a.test.mjs': file(PASSES, SKIPS) }

describe('.ci/run with vitest', () => {
  it.each([
    ['a test that fails', { 'a.test.mjs': file(PASSES, FAILS, SKIPS) }, [1, 1, 1]],
    ['a suite without test files', { 'a.mjs': '' }, [0, 1, 0]],
    ['a suite that crashes', { 'a.test.mjs': file(PASSES, KILLS) }, [0, 1, 0]],
  ] as const)('fails for %s', async (_, files, [passed, failed, skipped]) => {
    const scene = await CiScene.create()
    scene.vitest('test:browser', files)
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(10 + passed, failed, 5 + skipped)])
  })

  it.each([
    ['files without a test or that can not be read', { 'b.test.mjs': '', 'c.test.mjs': 'it(' }, [1, 2, 1]],
    [
      'hooks that fail, and errors that nothing caught',
      { 'b.test.mjs': file(BAD_HOOK), 'c.test.mjs': file(UNCAUGHT) },
      [2, 2, 2],
    ],
  ] as const)('counts %s as failed', async (_, files, [passed, failed, skipped]) => {
    const scene = await CiScene.create()
    scene.vitest('test:browser', { ...GOOD_FILE, ...files })
    // and a suite that only skips has run nothing
    scene.vitest('test:package', { 'a.test.mjs': file(SKIPS) })
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([1, line(8 + passed, 1 + failed, 5 + skipped)])
  })

  it('ends with 0 where all tests passed', async () => {
    const scene = await CiScene.create()
    scene.vitest('test', GOOD_FILE)
    const { end, lastLine } = await scene.run()
    expect([end, lastLine]).toEqual([0, line(11, 0, 6)])
  })
})
