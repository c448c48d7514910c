import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { atEnd } from '../support/at-end.js'
import { within } from '../support/wait.js'
import { ROOT, run } from './support.js'

/** What the stand-in for npm does when it is asked for a script, such as `test` or `test:interop`. */
export interface Suite {
  /** Written to the file that SUITE_COUNTS names. */
  readonly counts?: string
  /** Exit code. @default 0 */
  readonly code?: number
  /** A line of shell that runs instead. */
  readonly shell?: string
}

export const GOOD: Suite = { counts: '{"passed":2,"failed":0,"skipped":1}' }
const SCRIPTS = ['test', 'test:interop', 'test:contract', 'test:browser', 'test:deploy', 'test:package']
const INSTALLERS = ['interop', 'contract-api', 'browser', 'deploy']

/** Does what a file named after the npm script, or after `ci`, says. */
const NPM = `#!/bin/sh
[ "$1" = --version ] && exec echo 11
script=$1
[ "$1" = run ] && script=$2
exec sh "$(dirname "$0")/$script.sh"
`

export interface CiRun {
  /** Exit code, or the name of the signal that ended it. */
  readonly end: number | string
  readonly output: string
  readonly lastLine: string
}

/** A repository with nothing but the CI script, its suites being stand-ins. */
export class CiScene {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** All suites are good. */
  static async create(): Promise<CiScene> {
    const folder = mkdtempSync(join(tmpdir(), 'linksocks-ci-'))
    atEnd(() => rmSync(folder, { recursive: true }))
    const scene = new CiScene(folder)
    for (const part of ['.ci', 'scripts/ci', 'package-lock.json'])
      cpSync(join(ROOT, part), join(folder, part), { recursive: true })
    scene.program('bin/npm', NPM)
    scene.program('bin/ci.sh', 'exit 0')
    for (const name of INSTALLERS) scene.program(`test/${name}/install.sh`, '#!/bin/sh\n')
    for (const script of SCRIPTS) scene.suite(script, GOOD)
    for (const args of [
      ['init', '-q'],
      ['add', '-A'],
      ['commit', '-qm', 'test: everything'],
    ])
      await scene.git(args)
    return scene
  }

  /** Replaces what an npm script does. */
  suite(script: string, { counts, code = 0, shell }: Suite): void {
    const write = counts === undefined ? '' : `printf '%s' '${counts}' >"$SUITE_COUNTS"\n`
    this.program(`bin/${script}.sh`, `${write}${shell ?? `exit ${code}`}\n`)
  }

  /** Writes an executable file. */
  program(name: string, text: string): void {
    this.file(name, text)
    chmodSync(join(this.folder, name), 0o755)
  }

  file(name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true })
    writeFileSync(join(this.folder, name), text)
  }

  /** Has a suite run vitest, with these files and the reporter that every suite uses. */
  vitest(script: string, files: Readonly<Record<string, string>>): void {
    const planted = `planted-${script.replace(':', '-')}`
    for (const [name, text] of Object.entries(files)) this.file(`${planted}/${name}`, text)
    symlinkSync(join(ROOT, 'node_modules'), join(this.folder, planted, 'node_modules'))
    const reporter = JSON.stringify(join(ROOT, 'test/support/counts-reporter.ts'))
    const config = `import { CountsReporter } from ${reporter}
export default { test: { reporters: ['default', new CountsReporter()] } }
`
    this.file(`${planted}/vitest.config.mjs`, config)
    this.suite(script, { shell: `exec node '${join(ROOT, 'node_modules/vitest/vitest.mjs')}' run --root ${planted}` })
  }

  async git(args: readonly string[]): Promise<string> {
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'init.defaultBranch=main']
    const { code, stdout, stderr } = await run('git', [...author, ...args], this.folder)
    if (code !== 0) throw new Error(stderr)
    return stdout
  }

  /** Runs `.ci/run`. @param during what happens once the output has this text */
  async run(during?: { readonly output: string; readonly act: (pid: number) => void }): Promise<CiRun> {
    const child = spawn('bash', ['.ci/run'], {
      cwd: this.folder,
      env: { ...process.env, PATH: `${join(this.folder, 'bin')}:${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    atEnd(() => child.kill('SIGKILL'))
    let output = ''
    let told = during === undefined
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (told || !output.includes(during?.output ?? '')) return
        told = true
        during?.act(child.pid ?? 0)
      })
    }
    const ended = new Promise<number | string>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    const end = await within(ended, () => `end of .ci/run; it wrote:\n${output}`)
    return { end, output, lastLine: output.trimEnd().split('\n').at(-1) ?? '' }
  }
}
