import { localMs } from './dates.ts'
import { refuse } from './value-error.ts'

/** The local day of a `Date` as SQL writes it: `2026-01-31`, `0044-03-15 BC`. */
export function dateText(value: Date): string {
  const { day, era } = partsOf(value)
  return day + era
}

/**
 * A `Date` as local time with its offset from UTC: types with a zone get the instant, types without
 * one ignore the offset and get the local fields, as `pg` sends them.
 */
export function instantText(value: Date): string {
  const { day, time, era, offsetSeconds } = partsOf(value)
  const seconds = Math.abs(offsetSeconds)
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => {
    return String(Math.floor(part)).padStart(2, '0')
  })
  return `${day} ${time}${offsetSeconds < 0 ? '-' : '+'}${parts.join(':')}${era}`
}

interface Parts {
  readonly day: string
  readonly time: string
  readonly era: '' | ' BC'
  readonly offsetSeconds: number
}

function partsOf(value: Date): Parts {
  const shownMs = localMs(value)
  if (Number.isNaN(shownMs)) refuse('a valid Date', value)
  const shown = new Date(shownMs)
  const iso = shown.toISOString()
  const at = iso.indexOf('T')
  const year = shown.getUTCFullYear()
  // SQL has no year 0: the year before 1 is 1 BC.
  const sqlYear = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return {
    day: sqlYear + iso.slice(at - 6, at),
    time: iso.slice(at + 1, -1),
    era: year > 0 ? '' : ' BC',
    offsetSeconds: Math.round((shownMs - value.getTime()) / 1000),
  }
}
