import type { MetricKind } from './metric-definition.ts'

/**
 * Rules for names, so that what is exposed passes `promtool check metrics`. Source: Prometheus,
 * "Metric and label naming", and the linter in its `promlint` package.
 */
export function checkName(kind: MetricKind, name: string): void {
  if (!SNAKE_CASE.test(name)) refuse(name, 'must be snake case: a-z, 0-9 and single underscores')
  if (name.length > LONGEST_NAME) refuse(name, `must have ${LONGEST_NAME} characters at most`)
  const words = name.split('_')
  if (kind === 'counter' && words.at(-1) !== 'total') refuse(name, 'is a counter: end it in _total')
  if (kind !== 'counter' && words.at(-1) === 'total') {
    refuse(name, 'ends in _total, which only a counter may')
  }
  for (const word of words) checkWord(name, word)
  const last = words.at(-1) as string
  if (RESERVED_SUFFIXES.has(last)) refuse(name, `may not end in _${last}, which is reserved`)
}

/** @throws RangeError when there are too many labels, or one is reserved, repeated or misspelt. */
export function checkLabels(name: string, labels: readonly string[]): void {
  if (labels.length > MOST_LABELS) {
    refuse(name, `may have ${MOST_LABELS} labels at most, got ${labels.length}`)
  }
  for (const label of labels) {
    if (RESERVED_LABELS.has(label)) refuse(name, `may not have the reserved label '${label}'`)
    if (!SNAKE_CASE.test(label)) refuse(name, `has a label that is not snake case: '${label}'`)
  }
  if (new Set(labels).size !== labels.length) refuse(name, 'has the same label twice')
}

/** @throws RangeError when bounds are none, too many, not ascending, negative or not finite. */
export function checkBounds(name: string, bounds: readonly number[]): void {
  if (bounds.length === 0 || bounds.length > MOST_BOUNDS) {
    refuse(name, `must have 1 to ${MOST_BOUNDS} bounds, got ${bounds.length}`)
  }
  if (!((bounds.at(-1) as number) > 0)) refuse(name, 'must have a bound above 0')
  bounds.forEach((bound, i) => {
    const isInRange = bound === 0 || (bound >= LOWEST_BOUND && bound <= HIGHEST_BOUND)
    if (!isInRange) {
      refuse(name, `must have bounds of 0 or ${LOWEST_BOUND} to ${HIGHEST_BOUND}, got ${bound}`)
    }
    if (i > 0 && !(bound > (bounds[i - 1] as number))) {
      refuse(name, `must have ascending bounds, got ${bound} after ${bounds[i - 1]}`)
    }
  })
}

/** @throws RangeError always, naming the metric and the rule. */
export function refuse(name: string, rule: string): never {
  throw new RangeError(`metric ${JSON.stringify(name).slice(1, -1)} ${rule}`)
}

function checkWord(name: string, word: string): void {
  const base = NOT_BASE_UNITS.get(word)
  if (base !== undefined) refuse(name, `must be in base units: '${word}' should be ${base}`)
  if (KINDS.has(word)) refuse(name, `may not say what kind of metric it is: '${word}'`)
}

const SNAKE_CASE = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/
const LONGEST_NAME = 120
const MOST_LABELS = 6
const MOST_BOUNDS = 100
const LOWEST_BOUND = 1e-12
const HIGHEST_BOUND = 1e18

/** `job` and `instance` are set by the server at scrape, `le` and `quantile` by the format. */
const RESERVED_LABELS = new Set(['le', 'quantile', 'job', 'instance'])
const RESERVED_SUFFIXES = new Set(['bucket', 'count', 'sum', 'created', 'info'])
const KINDS = new Set(['counter', 'gauge', 'histogram', 'summary'])

const BASE_OF: Readonly<Record<string, string>> = {
  seconds: 'second minute minutes hour hours day days week weeks s sec secs ms us ns m h d',
  bytes: 'byte bit bits b kb mb gb tb pb kib mib gib tib',
  ratio: 'percent percentage percentages pct',
  celsius: 'fahrenheit',
  grams: 'ounces pounds',
  meters: 'inches feet yards miles',
}
const PREFIXES =
  'pico nano micro milli centi deci deca hecto kilo kibi mega mebi giga gibi tera tebi peta pebi'
const UNITS = 'second seconds byte bytes bit bits gram grams meter meters metres joules watts volts'

const NOT_BASE_UNITS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(BASE_OF).flatMap(([base, words]) =>
    words.split(' ').map((word) => [word, base] as const),
  ),
  ...PREFIXES.split(' ').flatMap((prefix) =>
    UNITS.split(' ').map((unit) => [`${prefix}${unit}`, `${unit} without a prefix`] as const),
  ),
])
