// npm run bench: measures LinkSocks and its opponents side by side. README.md tells what the figures mean.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { judge } from './lib/goals.mjs'
import { endOnSignals, runIsolated } from './lib/isolate.mjs'
import { descriptors, machine } from './lib/machine.mjs'
import { Bench } from './lib/measure.mjs'
import { options } from './lib/options.mjs'
import { freePort } from './lib/processes.mjs'
import { summarize } from './lib/summary.mjs'
import { block, verdicts } from './lib/table.mjs'
import { prepareTools, startOrigin } from './lib/tools.mjs'
import { SCENARIOS } from './scenarios/index.mjs'
import { findSubjects } from './subjects/index.mjs'

/** Those whose failure makes the run fail: an opponent may be unable to do what is asked. */
const OURS = ['linksocks', 'against', 'relay', 'direct']
const MODES = /** @type {const} */ (['forward', 'reverse', 'agent'])
/** Of the time that a quick run has, for the start of all tunnels. */
const HEAD_START = 0.2

/** JSON with a line for each entry of a list. */
function asText(/** @type {object} */ result) {
  const lines = Object.entries(result).map(([name, value]) => {
    const rows = Array.isArray(value) && value.length > 0 ? value.map((row) => `    ${JSON.stringify(row)}`) : undefined
    return `  ${JSON.stringify(name)}: ${rows === undefined ? JSON.stringify(value) : `[\n${rows.join(',\n')}\n  ]`}`
  })
  return `{\n${lines.join(',\n')}\n}\n`
}

/** @param {import('./lib/options.mjs').Options} wanted */
async function main(wanted) {
  endOnSignals()
  const began = new Date()
  const folder = mkdtempSync(join(tmpdir(), 'linksocks-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const here = await machine()
  if (here.busyBefore > 0.1) {
    console.error(
      `The machine is busy (${Math.round(here.busyBefore * 100)} % of all cores): differences are smaller than the noise`,
    )
  }
  const tools = prepareTools(folder, wanted.plainNode)
  const { subjects, missing } = findSubjects(folder, wanted.against, wanted.subjects)
  for (const { name, reason } of missing) console.log(`without ${name}: ${reason}`)
  const port = await freePort()
  const origin = await startOrigin(tools, port)
  const site = { tools, origin: port, plan: { ...wanted.plan, descriptors: descriptors() } }
  const { series, failures } = await runAll(site, wanted, subjects)
  if (origin.died !== undefined)
    failures.push({ mode: 'forward', scenario: 'all', subject: 'direct', round: -1, error: origin.died })
  await origin.end()
  const figures = summarize(series)
  const goals = judge(figures)
  if (wanted.only === undefined) console.log(verdicts(goals))
  const result = {
    format: 1,
    began: began.toISOString(),
    tookSeconds: Math.round((Date.now() - began.getTime()) / 1_000),
    plan: site.plan,
    load: tools.kind,
    machine: here,
    subjects: subjects.map(({ name, title, version }) => ({ name, title, version })),
    missing,
    failures,
    goals,
    figures,
  }
  if (wanted.json !== undefined) {
    mkdirSync(dirname(wanted.json), { recursive: true })
    writeFileSync(wanted.json, asText(result))
  }
  console.log(`\n${result.tookSeconds} s, load by ${tools.kind}; ${failures.length} failures`)
  return failures.some(({ subject }) => OURS.includes(subject)) ? 1 : 0
}

/**
 * @param {import('./lib/stage.mjs').Site} site
 * @param {import('./lib/options.mjs').Options} wanted
 * @param {readonly import('./subjects/subject.mjs').Subject[]} subjects
 */
async function runAll(site, wanted, subjects) {
  const { plan } = site
  /** @type {import('./lib/measure.mjs').Series[]} */
  const series = []
  /** @type {import('./lib/measure.mjs').Failure[]} */
  const failures = []
  const modes = MODES.filter((one) => wanted.modes.includes(one))
  const late = lateness(
    modes.reduce((sum, mode) => sum + chosen(wanted, mode).length, 0),
    wanted.rounds === undefined && wanted.only === undefined ? plan.budgetMs : Number.POSITIVE_INFINITY,
  )
  for (const mode of modes) {
    for (const longWay of [false, true]) {
      const bench = new Bench(site, mode, longWay)
      for (const scenario of chosen(wanted, mode).filter(({ each }) => (each === 'long') === longWay)) {
        const suited = subjects.filter(
          (subject) =>
            subject.modes.includes(mode) &&
            scenario.suits?.(subject) !== false &&
            (!plan.quick || wanted.only !== undefined || quickSubject(scenario, mode, subject.name)),
        )
        const rounds = wanted.rounds ?? (scenario.each === undefined ? plan.rounds : plan.fewRounds)
        const began = Date.now()
        const measured = await bench.measure(scenario, suited, rounds, late(series))
        series.push(...measured)
        console.log(block(mode, scenario, summarize(measured), (Date.now() - began) / 1_000))
      }
      await bench.end()
      failures.push(...bench.failures)
    }
  }
  return { series, failures }
}

/**
 * Tells whether a run is behind its budget, of which every scenario has the same share.
 *
 * @param {number} scenarios
 * @param {number} budgetMs
 */
function lateness(scenarios, budgetMs) {
  const began = Date.now()
  return (/** @type {readonly import('./lib/measure.mjs').Series[]} */ measured) => {
    const done = new Set(measured.map(({ mode, scenario }) => `${mode} ${scenario.name}`)).size
    const share = HEAD_START + ((1 - HEAD_START) * (done + 1)) / scenarios
    return () => Date.now() - began > budgetMs * share
  }
}

/**
 * The deployed LinkSocks is slow to measure, and its figures differ little from mode to mode.
 *
 * @param {import('./scenarios/scenario.mjs').Scenario} scenario
 * @param {string} mode
 * @param {string} name
 */
function quickSubject({ quickSubjects }, mode, name) {
  return quickSubjects?.includes(name) !== false && (mode === 'forward' || name !== 'deployed')
}

/**
 * @param {import('./lib/options.mjs').Options} wanted
 * @param {import('./subjects/subject.mjs').Mode} mode
 */
function chosen({ only, plan }, mode) {
  return SCENARIOS.filter(({ name, modes, quickModes }) =>
    only === undefined
      ? (plan.quick ? (quickModes ?? modes) : modes).includes(mode)
      : only.some((part) => name.includes(part)),
  )
}

const wanted = options(
  process.argv.slice(2),
  SCENARIOS.map(({ name }) => name),
)
process.exitCode = wanted === undefined ? 2 : ((await runIsolated()) ?? (await main(wanted)))
