import { parseChoice } from '../settings/values.js'
import { JSON_OUTPUT } from './manage-flags.js'
import { checkTokenId, unknownId } from './manage-settings.js'
import { PROTOCOL } from './policy-flags.js'
import { readPolicy } from './policy-settings.js'
import { readVerdict } from './read-answers.js'
import { cell, jsonText } from './table.js'
import type { Task } from './task.js'

/** `linksocks token check <id> <host:port>` */
export async function checkToken({ api, settings, words, io }: Task): Promise<void> {
  const [id = '', target] = words
  checkTokenId('token check', id)
  const protocol = settings.value(PROTOCOL, (text) => parseChoice(text, ['tcp', 'udp']))
  const answer = await api.about('POST', `/api/tokens/${id}/check`, { target, protocol, policy: readPolicy(settings) })
  if (answer === undefined) throw unknownId(id)
  if (settings.enabled(JSON_OUTPUT)) {
    io.stdout.write(jsonText(answer.body))
    return
  }
  const verdict = readVerdict(answer.body)
  if (verdict === undefined) throw api.foreign(answer)
  const { result, reason, token_id: other } = verdict
  const whose = other == null || other === id ? '' : ` (token ${other})`
  const said = reason.startsWith(result) ? reason : `${result}: ${reason}`
  io.stdout.write(`${cell(said)}${whose}\n`)
}
