import { toError } from '@dharma/core'
import { Cron } from 'croner'

/** Parsed patterns kept, since parsing costs more than asking for the next time. */
const KEPT = 200
const parsed = new Map<string, Cron>()

/** When a cron pattern is due, by the wall clock of a time zone. */
export class CronPattern {
  readonly #cron: Cron

  /** @throws RangeError naming what is wrong with pattern or time zone */
  constructor(pattern: string, timeZone: string) {
    const key = `${timeZone}\n${pattern}`
    const known = parsed.get(key)
    if (known !== undefined) {
      this.#cron = known
      return
    }
    try {
      this.#cron = new Cron(pattern, { timezone: timeZone, paused: true })
      this.#cron.nextRun(new Date(0))
    } catch (cause) {
      const why = toError(cause).message
      throw new RangeError(`cron must be a pattern and timeZone an IANA name: ${why}`, { cause })
    }
    const [oldest] = parsed.keys()
    if (parsed.size >= KEPT && oldest !== undefined) parsed.delete(oldest)
    parsed.set(key, this.#cron)
  }

  /** The first due time after this moment, in milliseconds since the epoch. */
  next(afterMs: number): number | undefined {
    return this.#cron.nextRun(new Date(afterMs))?.getTime()
  }
}
