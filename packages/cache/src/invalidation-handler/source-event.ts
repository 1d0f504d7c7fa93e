import { InvalidEventError } from './errors.ts'

/** An event as another system tells it: a trigger of PostgreSQL, a change stream, an outbox. */
export interface SourceEvent {
  readonly name: string
  readonly payload: unknown
  /**
   * What tells the event from all others: the outbox' row, the change's resume token. An event that
   * many processes hear is shared once then.
   */
  readonly id?: string | undefined
}

/** Text is JSON of the same. @throws InvalidEventError */
export function readSourceEvent(event: SourceEvent | string): SourceEvent {
  const read = typeof event === 'string' ? parse(event) : event
  if (typeof read !== 'object' || read === null || typeof Reflect.get(read, 'name') !== 'string') {
    throw new InvalidEventError('?')
  }
  return read as SourceEvent
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InvalidEventError('?', { cause: error })
  }
}
