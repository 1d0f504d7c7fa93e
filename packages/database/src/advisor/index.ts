export type {
  Advice,
  Confidence,
  CreateIndexAdvice,
  DropIndexAdvice,
  HelpedQuery,
  IndexTrait,
  RewriteAdvice,
  RewriteCode,
} from './advice.ts'
export type { IndexAdvisorOptions } from './advisor-options.ts'
export type { AdvisorSession } from './advisor-session.ts'
export type { IndexMethod } from './candidates/index-form.ts'
export { IndexAdvisor } from './index-advisor.ts'
export { repeatedQueriesOf } from './rewrites/repeated-queries.ts'
export type { Verification } from './verify/cost-model.ts'
export { workloadOfCsvLog, workloadOfJsonLog } from './workload/server-log.ts'
export { workloadOfSqlFile } from './workload/sql-file.ts'
export { workloadOfStatStatements, type StatStatementsOptions } from './workload/stat-statements.ts'
export { workloadOfBaseline, workloadOfTracker } from './workload/tracked.ts'
export { Workload, type WorkloadEntry, type WorkloadRecord } from './workload/workload.ts'
