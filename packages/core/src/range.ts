/*
 * Limits of options, in one wording. Each check names option, limits and value; `NaN` passes none.
 */

/** @throws RangeError naming option, limits and value, unless `min <= value <= max`. */
export function requireRange(
  option: string,
  value: number,
  min: number,
  max: number = Infinity,
): void {
  if (value >= min && value <= max) return
  const limits = max === Infinity ? `at least ${min}` : `between ${min} and ${max}`
  throw new RangeError(`${option} must be ${limits}, got ${value}`)
}

/** @throws RangeError like {@link requireRange}, and unless the value is a whole number. */
export function requireWhole(
  option: string,
  value: number,
  min: number = 1,
  max: number = Infinity,
): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  const limits = rangeText(min, max === Infinity ? undefined : max)
  throw new RangeError(`${option} must be a whole number${limits}, got ${value}`)
}

/** @throws RangeError unless the lower limit is at most the upper one. */
export function requireOrder(
  minName: string,
  min: number,
  maxName: string,
  max: number,
  write: (limit: number) => string = String,
): void {
  if (min <= max) return
  throw new RangeError(`${minName} must be at most ${maxName}, got ${write(min)} and ${write(max)}`)
}

/** ` from 1 to 10`, ` of at least 1`, ` of at most 10` or nothing, to follow a noun. */
export function rangeText(
  min: number | undefined,
  max: number | undefined,
  write: (limit: number) => string = String,
  unit = '',
): string {
  if (min !== undefined && max !== undefined) return ` from ${write(min)} to ${write(max)}${unit}`
  if (min !== undefined) return ` of at least ${write(min)}${unit}`
  return max === undefined ? '' : ` of at most ${write(max)}${unit}`
}
