import { checkNumber } from '../entry-options.ts'
import type { Policy } from '../policy.ts'

/**
 * Defines how one kind of value is cached: `definePolicy<User>()({ name: 'user', key: (id: string) => id })`.
 * Two calls, so that the type of the value is said and that of the identifier inferred.
 * @throws RangeError naming what is wrong.
 */
export function definePolicy<Value>(): <Id>(policy: Policy<Value, Id>) => Policy<Value, Id> {
  return (policy) => {
    if (!/^[a-z][a-z0-9-]*$/.test(policy.name)) {
      throw new RangeError(`policy name must be a-z, 0-9 and -, got '${policy.name}'`)
    }
    checkNumber(`policy '${policy.name}': version`, policy.version ?? 1, 1, Number.MAX_SAFE_INTEGER)
    checkNumber(`policy '${policy.name}': ttlMs`, policy.ttlMs ?? 1, 1, 2 ** 32 - 1)
    return Object.freeze(policy)
  }
}
