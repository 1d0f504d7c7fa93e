export { campaignChanged, modelUpdated, userProfileUpdated } from './built-in-events.ts'
export { defineEvent, type DomainEvent, type EventTargets } from './define-event.ts'
export { EventBacklogFullError, InvalidEventError, UnknownEventError } from './errors.ts'
export type { InvalidationHandlerOptions, MaintenanceOptions } from './handler-options.ts'
export type { EventOutcome, HandlerCounts } from './handler-tallies.ts'
export {
  createInvalidationHandler,
  InvalidationHandler,
  type InvalidationHandlerStats,
} from './invalidation-handler.ts'
export type { MaintenanceReport } from './maintenance.ts'
export type { SampleReport } from './namespace-sampler.ts'
export type { SourceEvent } from './source-event.ts'
