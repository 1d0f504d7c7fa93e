import { randomInt } from 'node:crypto'

/** The seed that `DHARMA_CHECKER_SEED` names, to repeat a run; a new one where it names none. */
export function chooseSeed(): number {
  const given = process.env['DHARMA_CHECKER_SEED'] ?? ''
  if (given === '') return randomInt(1, 2 ** 31)
  const seed = Number(given)
  if (Number.isSafeInteger(seed) && seed >= 0) return seed
  throw new RangeError(`DHARMA_CHECKER_SEED must be an integer of 0 or more, got '${given}'`)
}
