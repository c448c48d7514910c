import { git } from './repository.mjs'

/** In characters, as `git log --oneline` and web pages show it whole. */
const MAX_SUBJECT_LENGTH = 72
const TYPES = ['build', 'chore', 'ci', 'docs', 'feat', 'fix', 'perf', 'refactor', 'revert', 'style', 'test']
const FORM = new RegExp(`^(?:${TYPES.join('|')})(?:\\([a-z0-9][a-z0-9,./-]*\\))?!?: \\S`)

/** @returns {string | undefined} what is wrong with a commit's subject */
export function subjectProblem(subject) {
  const length = [...subject].length
  if (length > MAX_SUBJECT_LENGTH) return `has ${length} characters, ${MAX_SUBJECT_LENGTH} are allowed`
  if (!FORM.test(subject)) return `is not of the form "type(scope): what changed" with one of ${TYPES.join(', ')}`
  return undefined
}

/** Judges the subjects of all commits after `base` in the repository at `cwd`, merges excepted. */
export function checkSubjects(base, cwd = process.cwd()) {
  // only what comes before HEAD in this clone; a git that fails otherwise throws
  if (!git(['rev-list', 'HEAD'], cwd).split('\n').includes(base)) {
    return { unchecked: `commit subjects were not checked: this clone has no commit ${base} before its own` }
  }
  const lines = git(['log', '--no-merges', '--format=%h %s', `${base}..HEAD`], cwd)
    .split('\n')
    .filter((line) => line !== '')
  const problems = lines.flatMap((line) => {
    const [id, subject] = line.split(/ (.*)/s)
    const problem = subjectProblem(subject ?? '')
    return problem === undefined ? [] : [`${id} "${subject}" ${problem}`]
  })
  return problems.length === 0 ? {} : { problem: `commit subjects:\n${problems.join('\n')}` }
}
