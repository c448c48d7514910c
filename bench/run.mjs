// npm run bench: measures LinkSocks and its opponents side by side. README.md tells what the figures mean.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { judge } from './lib/goals.mjs'
import { endOnSignals, runIsolated } from './lib/isolate.mjs'
import { copySpeeds, descriptors, headline, machine } from './lib/machine.mjs'
import { Bench } from './lib/measure.mjs'
import { oneCpuMissing, onOneCpu } from './lib/one-cpu.mjs'
import { means, options } from './lib/options.mjs'
import { summarize } from './lib/summary.mjs'
import { block, verdicts } from './lib/table.mjs'
import { prepareTools, startOrigin } from './lib/tools.mjs'
import { SCENARIOS } from './scenarios/index.mjs'
import { findSubjects } from './subjects/index.mjs'

/** Those whose failure makes the run fail: an opponent may be unable to do what is asked. */
const OURS = ['linksocks', 'against', 'wss', 'relay', 'tlsrelay', 'direct']
const MODES = /** @type {const} */ (['forward', 'reverse', 'agent'])
/** Where scenarios take place, those with the same together. */
const PLACES = /** @type {const} */ ([undefined, 'long-way', 'one-core'])
/** Of the time that a quick run has, for the start of all tunnels. */
const HEAD_START = 0.2

/** @typedef {typeof PLACES[number]} Place */

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
  const copyGBps = await copySpeeds(tools, here.cachesKiB)
  console.log(headline(here, copyGBps))
  const { subjects, missing } = findSubjects(folder, wanted.against, wanted.subjects)
  const reason = oneCpuMissing()
  if (reason !== undefined) missing.push({ name: 'taskset', reason })
  for (const { name, reason } of missing) console.log(`without ${name}: ${reason}`)
  const places = PLACES.filter((place) => place !== 'one-core' || reason === undefined)
  const plan = { ...wanted.plan, descriptors: descriptors() }
  const { series, failures } = await runAll({ tools, plan }, wanted, subjects, places)
  const figures = summarize(series)
  const goals = judge(figures)
  if (wanted.only === undefined) console.log(verdicts(goals))
  const result = {
    format: 1,
    began: began.toISOString(),
    tookSeconds: Math.round((Date.now() - began.getTime()) / 1_000),
    plan,
    load: tools.kind,
    machine: { ...here, ...(copyGBps && { copyGBps }) },
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
 * @param {Omit<import('./lib/stage.mjs').Site, 'origin'>} site
 * @param {import('./lib/options.mjs').Options} wanted
 * @param {readonly import('./subjects/subject.mjs').Subject[]} subjects
 * @param {readonly Place[]} places
 */
async function runAll(site, wanted, subjects, places) {
  const { plan } = site
  /** @type {import('./lib/measure.mjs').Series[]} */
  const series = []
  /** @type {import('./lib/measure.mjs').Failure[]} */
  const failures = []
  const parts = MODES.filter((one) => wanted.modes.includes(one)).flatMap((mode) =>
    places.map((place) => ({ mode, place, scenarios: chosen(wanted, mode).filter(({ where }) => where === place) })),
  )
  const late = lateness(
    parts.reduce((sum, { scenarios }) => sum + scenarios.length, 0),
    wanted.rounds === undefined && wanted.only === undefined ? plan.budgetMs : Number.POSITIVE_INFINITY,
  )
  for (const { mode, place, scenarios } of parts.filter((part) => part.scenarios.length > 0)) {
    await at(place, async (cpu) => {
      const origin = await startOrigin(site.tools)
      const bench = new Bench({ ...site, origin: origin.port, ...cpu }, mode, place === 'long-way')
      for (const scenario of scenarios) {
        const suited = subjects.filter((subject) => takesPart(subject, scenario, mode, wanted))
        const began = Date.now()
        const measured = await bench.measure(scenario, suited, roundsOf(scenario, wanted), late(series))
        series.push(...measured)
        console.log(block(mode, scenario, summarize(measured), (Date.now() - began) / 1_000))
      }
      await bench.end()
      failures.push(...bench.failures)
      const { died } = origin.program
      if (died !== undefined) failures.push({ mode, scenario: 'all', subject: 'direct', round: -1, error: died })
      await origin.program.end()
    })
  }
  return { series, failures }
}

/**
 * @param {Place} place
 * @param {(cpu: { cpu?: string }) => Promise<void>} action
 */
async function at(place, action) {
  if (place === 'one-core') await onOneCpu((cpu) => action({ cpu }))
  else await action({})
}

/**
 * @param {import('./scenarios/scenario.mjs').Scenario} scenario
 * @param {import('./lib/options.mjs').Options} wanted
 */
function roundsOf({ each, where }, { rounds, plan }) {
  return rounds ?? (each === 'process' || where === 'long-way' ? plan.fewRounds : plan.rounds)
}

/**
 * @param {import('./subjects/subject.mjs').Subject} subject
 * @param {import('./scenarios/scenario.mjs').Scenario} scenario
 * @param {import('./subjects/subject.mjs').Mode} mode
 * @param {import('./lib/options.mjs').Options} wanted
 */
function takesPart(subject, scenario, mode, { plan, only }) {
  if (!subject.modes.includes(mode) || scenario.suits?.(subject) === false) return false
  return !plan.quick || only !== undefined || quickSubject(scenario, mode, subject.name)
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
      : only.some((part) => means(part, name)),
  )
}

const wanted = options(
  process.argv.slice(2),
  SCENARIOS.map(({ name }) => name),
)
process.exitCode = wanted === undefined ? 2 : ((await runIsolated()) ?? (await main(wanted)))
