import { JSON_OUTPUT, RESET } from './manage-flags.js'
import { checkTokenId, unknownId } from './manage-settings.js'
import { readUsage, type UsageAnswer } from './read-answers.js'
import { cell, factLines, jsonText, renderTable, roughSize } from './table.js'
import type { Task } from './task.js'
import { quotaUseText } from './traffic-texts.js'

/** `linksocks token usage <id>` */
export async function showUsage({ api, settings, words, io }: Task): Promise<void> {
  const [id = ''] = words
  checkTokenId('token usage', id)
  const resets = settings.enabled(RESET)
  const path = `/api/tokens/${id}/usage`
  const answer = await (resets ? api.about('POST', `${path}/reset`) : api.about('GET', path))
  if (answer === undefined) throw unknownId(id)
  if (settings.enabled(JSON_OUTPUT)) {
    io.stdout.write(jsonText(answer.body))
    return
  }
  const usage = readUsage(answer.body)
  if (usage === undefined) throw api.foreign(answer)
  if (resets) io.stdout.write(`${resetText(usage)}\n\n`)
  io.stdout.write(usageText(usage))
}

function resetText({ quota }: UsageAnswer): string {
  return `reset: its bytes${quota == null ? ' are' : ' and its quota are'} counted from 0 now`
}

function usageText(usage: UsageAnswer): string {
  const { token_id, since, total, month, day, rate, throttled, dropped_datagrams, quota } = usage
  const row = (name: string, { up, down }: UsageAnswer['total']) => [name, roughSize(up), roughSize(down)]
  const table = renderTable(
    ['BYTES', 'UP', 'DOWN'],
    [
      row('total', total),
      row('this month', month),
      row('today', day),
      row('per second now', rate),
      row('held back', throttled),
    ],
  )
  const head = factLines('', [
    ['id', token_id],
    ['since', cell(since)],
  ])
  const facts = factLines('', [
    ['quota', quota == null ? 'none' : quotaUseText(quota)],
    ['refused', refusedText(usage.refusals)],
    ['datagrams dropped', String(dropped_datagrams)],
  ])
  return `${head}\n${table}\n${facts}`
}

/** Reasons with their counts, by the names that the log has for them. */
function refusedText(refusals: UsageAnswer['refusals']): string {
  const texts = Object.entries(refusals).flatMap(([reason, count]) => (count === 0 ? [] : [`${cell(reason)} ${count}`]))
  return texts.length === 0 ? 'none' : texts.join(', ')
}
