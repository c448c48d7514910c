import { setTimeout as sleep } from 'node:timers/promises'
import { stand } from './stage.mjs'

/**
 * @typedef {import('./stage.mjs').Site} Site
 * @typedef {import('./stage.mjs').Standing} Standing
 * @typedef {import('../subjects/subject.mjs').Subject} Subject
 * @typedef {import('../subjects/subject.mjs').Mode} Mode
 * @typedef {import('../scenarios/scenario.mjs').Scenario} Scenario
 *
 * @typedef {object} Series What a subject reached in the rounds of a scenario; `null` where a round failed.
 * @property {Mode} mode
 * @property {Scenario} scenario
 * @property {Subject} subject
 * @property {(Record<string, number> | null)[]} rounds
 *
 * @typedef {{ mode: Mode, scenario: string, subject: string, round: number, error: string }} Failure
 */

/** After so many a subject is left out of the rest of a scenario. */
const PATIENCE = 2

/** The tunnels of one mode, all running side by side; one that failed is started anew. */
export class Bench {
  /** @type {Map<Subject, Standing>} */
  #standing = new Map()
  /** @type {Failure[]} */
  failures = []

  /**
   * @param {Site} site
   * @param {Mode} mode
   * @param {boolean} longWay
   */
  constructor(site, mode, longWay) {
    this.site = site
    this.mode = mode
    this.longWay = longWay
  }

  /**
   * Rounds of a scenario over all subjects, in another order each time.
   *
   * @param {Scenario} scenario
   * @param {readonly Subject[]} subjects
   * @param {number} rounds
   * @param {() => boolean} late whether one round has to do
   * @returns {Promise<Series[]>}
   */
  async measure(scenario, subjects, rounds, late) {
    /** @type {Map<Subject, { series: Series, failed: number, prepared: any }>} */
    const states = new Map()
    for (const subject of subjects) {
      const state = { series: { mode: this.mode, scenario, subject, rounds: [] }, failed: 0, prepared: undefined }
      states.set(subject, state)
      if (scenario.each === 'process' || scenario.prepare === undefined) continue
      await this.#attempt(scenario, subject, -1, state, async ({ run }) => {
        state.prepared = await scenario.prepare?.(run)
        return {}
      })
    }
    for (let round = 0; round < rounds && (round === 0 || !late()); round++) {
      for (const subject of inTurn(subjects, round)) {
        const state = states.get(subject)
        if (state === undefined) continue
        const result = await this.#attempt(scenario, subject, round, state, ({ run }) =>
          scenario.measure(run, state.prepared),
        )
        state.series.rounds.push(result)
        await sleep(this.site.plan.settleMs)
      }
    }
    return [...states.values()].map(({ series }) => series)
  }

  async end() {
    await Promise.all([...this.#standing.values()].map((standing) => standing.end()))
    this.#standing.clear()
  }

  /**
   * @param {Scenario} scenario
   * @param {Subject} subject
   * @param {number} round
   * @param {{ failed: number }} state
   * @param {(standing: Standing) => Promise<Record<string, number>>} action
   */
  async #attempt(scenario, subject, round, state, action) {
    if (state.failed >= PATIENCE) return null
    try {
      if (scenario.each === 'process') await this.#drop(subject)
      const standing = await this.#tunnel(subject)
      const result = await action(standing)
      const died = standing.died()
      if (died !== undefined) throw new Error(died)
      if (scenario.each === 'process') await this.#drop(subject)
      return result
    } catch (error) {
      state.failed++
      const died = this.#standing.get(subject)?.died()
      const message = [error instanceof Error ? error.message : String(error), died].filter(Boolean).join('; ')
      this.failures.push({ mode: this.mode, scenario: scenario.name, subject: subject.name, round, error: message })
      process.stderr.write(`${this.mode} ${scenario.name}: ${subject.name} failed: ${message}\n`)
      await this.#drop(subject)
      return null
    }
  }

  async #tunnel(/** @type {Subject} */ subject) {
    const standing = this.#standing.get(subject) ?? (await stand(this.site, subject, this.mode, this.longWay))
    this.#standing.set(subject, standing)
    return standing
  }

  async #drop(/** @type {Subject} */ subject) {
    await this.#standing.get(subject)?.end()
    this.#standing.delete(subject)
  }
}

/**
 * Every second round backwards, and each begins with another: nobody always follows the same neighbour. Of two that is once enough.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {number} round
 */
function inTurn(items, round) {
  const shift = round % Math.max(1, items.length)
  const turned = [...items.slice(shift), ...items.slice(0, shift)]
  return round % 2 === 0 || items.length === 2 ? turned : turned.reverse()
}
