/** Rates and quotas as people read them; sizes are in the units that their flags take. */
import { sizeText } from '../settings/values.js'
import type { QuotaUse, ShownPolicy } from './read-answers.js'
import { cell, roughSize } from './table.js'

/** `12.3G/50G` */
export function usedText({ used, bytes }: Pick<QuotaUse, 'used' | 'bytes'>): string {
  return `${roughSize(used)}/${sizeText(bytes)}`
}

/** What `--quota` takes: `50G/month/down`. */
export function quotaText({ bytes, period, direction }: NonNullable<ShownPolicy['quota']>): string {
  return [sizeText(bytes), cell(period), ...(direction == null || direction === 'both' ? [] : [cell(direction)])].join(
    '/',
  )
}

/** `12.3G of 50G/month, from 0 again at 2030-02-01T00:00:00.000Z` */
export function quotaUseText(quota: QuotaUse): string {
  const { used, used_up, resets_at } = quota
  const full = used_up === true ? ', exhausted' : ''
  const end = resets_at == null ? '' : `, from 0 again at ${cell(resets_at)}`
  return `${roughSize(used)} of ${quotaText(quota)}${full}${end}`
}
