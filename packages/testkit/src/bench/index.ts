export {
  defineBench,
  type Bar,
  type Bench,
  type BenchContext,
  type BenchServer,
  type Figures,
  type Subject,
  type SubjectFactory,
} from './define-bench.ts'
export { renderBench } from './render-bench.ts'
export { runBench, type BarResult, type BenchResult, type RunBenchOptions } from './run-bench.ts'
