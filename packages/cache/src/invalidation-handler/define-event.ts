import type { ValueSchema } from '../policy.ts'

/** What a domain event makes untrue, in every cache that hears of it. */
export interface EventTargets {
  readonly keys?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** Globs, as `invalidatePattern` takes them. Escape what is not meant as one with `escapeKeyPart`. */
  readonly patterns?: readonly string[] | undefined
}

/** Something that happened in the domain, and what of the caches it makes untrue. */
export interface DomainEvent<Payload = unknown, Name extends string = string> {
  /** What happened to what: `user-profile.updated`. */
  readonly name: Name
  /** Checks payloads, also those of other services. What it transforms them into must be JSON. */
  readonly schema: ValueSchema<Payload>
  /** Asked in each service for itself, so that each may key its entries as it likes. */
  invalidates(payload: Payload): EventTargets
}

const NAME = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/

/**
 * Defines a domain event: its name, the shape of its payload, and what it makes untrue.
 * @throws RangeError when the name is not like `user-profile.updated`
 */
export function defineEvent<Payload, const Name extends string>(
  event: DomainEvent<Payload, Name>,
): DomainEvent<Payload, Name> {
  if (!NAME.test(event.name)) {
    throw new RangeError(`an event's name must be like user-profile.updated, got '${event.name}'`)
  }
  return Object.freeze(event)
}
