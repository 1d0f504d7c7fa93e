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

/** @throws RangeError naming option, limit and value, unless it is a whole number of at least 1. */
export function requireCount(option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw new RangeError(`${option} must be a whole number of at least 1, got ${value}`)
}
