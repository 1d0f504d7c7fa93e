import type { AggregateOptions, ClientSession, Document, FindOptions } from 'mongodb'
import type { PipelineFacts } from './aggregation/rule.ts'

/** What every operation takes. */
export interface OperationOptions {
  /** That of a transaction, which the operation is then part of. */
  readonly session?: ClientSession
  /** How long it may take at most. At least 1. @default the manager's operationTimeoutMs */
  readonly timeoutMs?: number
  /** Ends the wait; what was sent may still be carried out. */
  readonly signal?: AbortSignal
}

/** {@link OperationOptions} and the driver's own, such as `sort`, `limit` and `projection`. */
export interface ReadOptions extends Omit<FindOptions, 'signal' | 'session'>, OperationOptions {}

/** {@link OperationOptions}, the driver's own, and whether the pipeline is rewritten. */
export interface AggregationOptions
  extends Omit<AggregateOptions, 'signal' | 'session'>, OperationOptions {
  /** Whether the pipeline is rewritten first, where the result is the same. @default false */
  readonly optimize?: boolean
  /** What the caller vouches for; a wrong fact makes results wrong. @default none */
  readonly facts?: PipelineFacts
}

export interface UpdateOptions extends OperationOptions {
  /** Whether a document is inserted where none matches. @default false */
  readonly upsert?: boolean
  /** Which elements `$[name]` means. @default none */
  readonly arrayFilters?: Document[]
}

export interface UpdateResult {
  readonly matched: number
  readonly modified: number
  /** The `_id` of the document that an upsert inserted. */
  readonly upsertedId?: unknown
}

/** What the driver gets: the deadline and the signal are ours. */
export function driverOptions<Options extends OperationOptions>(
  options: Options,
): Omit<Options, 'timeoutMs' | 'signal'> {
  const { timeoutMs: _timeoutMs, signal: _signal, ...rest } = options
  return rest
}

/** As {@link driverOptions}; the server ends the read at the deadline too. */
export function readOptions<Options extends OperationOptions>(
  options: Options,
  defaultTimeoutMs: number,
): Omit<Options, 'timeoutMs' | 'signal'> & { readonly maxTimeMS: number } {
  const maxTimeMS = Math.ceil(options.timeoutMs ?? defaultTimeoutMs)
  return { maxTimeMS, ...driverOptions(options) }
}
