export {
  Operation,
  type OperationContext,
  type OperationFacts,
  type OperationOptions,
} from './operation.ts'
export { createOperation, onOperation } from './operations.ts'
export {
  traceToOpenTelemetry,
  type OpenTelemetryTracingOptions,
} from './trace-to-open-telemetry.ts'
