import { parseArgs } from 'node:util'
import { ONE_CORE } from '../scenarios/scenario.mjs'
import { FULL, QUICK } from './plan.mjs'

/**
 * @typedef {object} Options
 * @property {import('./plan.mjs').Plan} plan
 * @property {readonly string[] | undefined} only
 * @property {readonly string[]} modes
 * @property {readonly string[] | undefined} subjects
 * @property {number | undefined} rounds
 * @property {string | undefined} json
 * @property {string | undefined} against
 * @property {boolean} plainNode
 */

const HELP = `npm run bench -- [flags]
  --quick            the whole in two minutes, with wide intervals
  --only <names>     scenarios whose name holds one of these, such as bulk,echo-idle (in every mode);
                     those on one core by names that hold one-core
  --modes <modes>    of forward,reverse,agent
  --subjects <names> of linksocks,against,noresume,http,observed,policy,wss,tlsrelay,relay,direct,
                     v2ray,ssh,deployed
  --rounds <n>       instead of the plan's number
  --json <file>      write all figures
  --against <dir>    measure another checkout, which was built, in the same rounds
  --plain-node       load generator and origin in Node, as where there is no C compiler
  --list             the scenarios
`

/**
 * Whether a part of a name, as `--only` has it, means a scenario. Rows on one core have the names of others in theirs: only who
 * asks for them gets them.
 *
 * @param {string} part
 * @param {string} name
 */
export function means(part, name) {
  return name.includes(part) && (part.includes(ONE_CORE) || !name.startsWith(ONE_CORE))
}

const list = (/** @type {string | undefined} */ text) => text?.split(',').filter((part) => part !== '')

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} scenarios
 * @returns {Options | undefined} `undefined` after an explanation
 */
export function options(args, scenarios) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      modes: { type: 'string' },
      subjects: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'string' },
      against: { type: 'string' },
      'plain-node': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const only = list(values.only)
  const unknown = only?.find((part) => !scenarios.some((name) => means(part, name)))
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  const wrong = rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)
  if (values.help || values.list || unknown !== undefined || wrong) {
    if (unknown !== undefined) console.error(`there is no scenario ${unknown}`)
    if (wrong) console.error('--rounds wants a number above 0')
    console.log(values.list ? scenarios.join('\n') : HELP)
    return undefined
  }
  return {
    plan: values.quick ? QUICK : FULL,
    only,
    modes: list(values.modes) ?? ['forward', 'reverse', 'agent'],
    subjects: list(values.subjects),
    rounds,
    json: values.json,
    against: values.against,
    plainNode: values['plain-node'],
  }
}
