import { toError } from '@dharma/core'
import type { InvalidationTargets } from '../redis/invalidation-writer.ts'
import { campaignChanged, modelUpdated, userProfileUpdated } from './built-in-events.ts'
import type { DomainEvent } from './define-event.ts'
import { InvalidEventError, UnknownEventError } from './errors.ts'

/** An event that was checked, and what it drops here. */
export interface ReadEvent {
  readonly payload: unknown
  readonly targets: InvalidationTargets
}

/** The events that a service knows: the built-in ones, and its own, which go before. */
export class EventRegistry {
  readonly #events = new Map<string, DomainEvent>()

  constructor(events: readonly DomainEvent[]) {
    for (const event of [userProfileUpdated, modelUpdated, campaignChanged, ...events]) {
      this.#events.set(event.name, event)
    }
  }

  has(name: string): boolean {
    return this.#events.has(name)
  }

  /**
   * @throws UnknownEventError when there is no such event
   * @throws InvalidEventError when the payload does not match, or the definition throws
   */
  read(name: string, payload: unknown): ReadEvent {
    const event = this.#events.get(name)
    if (event === undefined) throw new UnknownEventError(name)
    const checked = event.schema.safeParse(payload)
    if (!checked.success) throw new InvalidEventError(name, { cause: checked.error })
    try {
      const { keys = [], tags = [], patterns = [] } = event.invalidates(checked.data)
      return { payload: checked.data, targets: { keys, tags, patterns } }
    } catch (error) {
      throw new InvalidEventError(name, { cause: toError(error) })
    }
  }

  /** @throws as {@link read}, and InvalidEventError when the text is no JSON */
  readText(name: string, text: string): ReadEvent {
    let payload: unknown
    try {
      payload = JSON.parse(text)
    } catch (error) {
      throw new InvalidEventError(name, { cause: error })
    }
    return this.read(name, payload)
  }
}
