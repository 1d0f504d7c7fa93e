import { DharmaError } from '@dharma/core'

/** No event of this name was given to the handler. */
export class UnknownEventError extends DharmaError {
  override readonly name = 'UnknownEventError'
  readonly code = 'DHARMA_CACHE_UNKNOWN_EVENT'
  readonly event: string

  constructor(event: string) {
    super(`no event '${event}' was given to the invalidation handler`)
    this.event = event
  }
}

/** An event cannot be read: its payload does not match its schema, or its definition threw. */
export class InvalidEventError extends DharmaError {
  override readonly name = 'InvalidEventError'
  readonly code = 'DHARMA_CACHE_INVALID_EVENT'
  readonly event: string

  constructor(event: string, options?: ErrorOptions) {
    super(`the event '${event}' cannot be read`, options)
    this.event = event
  }
}

/** Redis was away for so long that no more events can be kept for it. This one was not; publish it again. */
export class EventBacklogFullError extends DharmaError {
  override readonly name = 'EventBacklogFullError'
  readonly code = 'DHARMA_CACHE_EVENT_BACKLOG_FULL'
  readonly maxBacklog: number

  constructor(maxBacklog: number, options?: ErrorOptions) {
    super(`${maxBacklog} events wait for Redis already`, options)
    this.maxBacklog = maxBacklog
  }
}
