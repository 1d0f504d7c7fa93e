export {
  createLifecycle,
  type Component,
  type Lifecycle,
  type LifecycleOptions,
  type StartOptions,
} from './lifecycle.ts'
export type { HookReport, ShutdownReport, StageReport } from './shutdown-report.ts'
export type { HostProcess, InstallOptions } from './signals.ts'
export type { HookStage, LifecycleLimits, Stage } from './stages.ts'
export { StartError } from './start-error.ts'
