import { BULK } from './bulk.mjs'
import { CONNS } from './conns.mjs'
import { ECHO } from './echo.mjs'
import { ONE_CORE } from './scenario.mjs'

/** @typedef {import('./scenario.mjs').Scenario} Scenario */

/** ssh encrypts, and the deployed LinkSocks takes minutes. */
const LEFT_OUT = ['ssh', 'deployed']

/** @type {Readonly<Record<string, Pick<Scenario, 'modes' | 'quickModes'>>>} */
const ROWS = {
  'echo-bulk-1': { modes: ['forward', 'agent'], quickModes: [] },
  'echo-bulk-8': { modes: ['forward', 'agent'], quickModes: ['forward'] },
  'bulk-down-1': { modes: ['forward', 'agent'], quickModes: [] },
  conns: { modes: ['forward'], quickModes: [] },
}

/**
 * The same as other scenarios, with every process of tunnel, load and origin on one CPU.
 *
 * @type {readonly Scenario[]}
 */
export const ON_ONE_CORE = [...BULK, ...ECHO, CONNS].flatMap((scenario) => {
  const row = ROWS[scenario.name]
  if (row === undefined) return []
  return [
    {
      ...scenario,
      ...row,
      name: `${ONE_CORE}-${scenario.name}`,
      title: `${scenario.title}, all on one core`,
      quickSubjects: ['linksocks', 'against', 'noresume', 'observed', 'relay', 'v2ray'],
      where: 'one-core',
      suits: ({ name }) => !LEFT_OUT.includes(name),
    },
  ]
})
