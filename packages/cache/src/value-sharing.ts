/** What callers get on a hit: the very value, the very value frozen, or a copy. */
export type ValueSharing = 'share' | 'freeze' | 'clone'

/** The value as it is kept: for `clone` a copy, so that the caller's own may change. */
export function prepareValue(value: unknown, sharing: ValueSharing): unknown {
  switch (sharing) {
    case 'share': {
      return value
    }
    case 'clone': {
      return structuredClone(value)
    }
    case 'freeze': {
      return deepFreeze(value)
    }
  }
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (ArrayBuffer.isView(value)) return value
  Object.freeze(value)
  for (const child of Object.values(value)) deepFreeze(child)
  return value
}
