import type { Policy } from '../policy.ts'
import { definePolicy } from './define-policy.ts'

/** What a service says of a preset: the schema of its value, and whatever it wants otherwise. */
export type PresetOptions<Value> = Partial<Omit<Policy<Value, never>, 'key' | 'tags' | 'valueType'>>

/** A preset with a service's own options over it. */
export function preset<Value, Id>(
  policy: Policy<Value, Id>,
  options: PresetOptions<Value> | undefined,
): Policy<Value, Id> {
  return definePolicy<Value>()<Id>({ ...policy, ...options })
}
