/** ` from 1 to 10`, ` of at least 1`, ` of at most 10` or nothing, to follow a noun. */
export function rangeText<T>(
  min: T | undefined,
  max: T | undefined,
  write: (limit: T) => string,
  unit = '',
): string {
  if (min !== undefined && max !== undefined) return ` from ${write(min)} to ${write(max)}${unit}`
  if (min !== undefined) return ` of at least ${write(min)}${unit}`
  return max === undefined ? '' : ` of at most ${write(max)}${unit}`
}

/** @throws RangeError when a limit is no number or the lower one exceeds the upper one */
export function checkRange(minName: string, min: number, maxName: string, max: number): void {
  if (min <= max) return
  throw new RangeError(`${minName} must be at most ${maxName}, got ${min} and ${max}`)
}
