import type { Task } from '../define-task.ts'
import type { JobPriority } from '../queue-engine.ts'
import type { Plan } from './plan.ts'

declare const flowTypes: unique symbol

/**
 * Work made of tasks: what it takes from the step before it, and what it gives to the next. Made by
 * {@link chain}, {@link group}, {@link chord}, {@link map}, {@link chunks} and `task.with`.
 */
export interface Flow<in Input, out Output> {
  readonly plan: Plan
  /** Only for the type checker. */
  readonly [flowTypes]?: (input: Input) => Output
}

/** A task, which takes the result of the step before it as its input, or a flow. */
export type Step<Input = never, Output = unknown> = Task<Input, Output> | Flow<Input, Output>

/** What a step takes. */
export type InputOf<S> =
  S extends Task<infer Input> ? Input : S extends Flow<infer Input, unknown> ? Input : never

/** What a step gives. */
export type OutputOf<S> =
  S extends Task<never, infer Output>
    ? Output
    : S extends Flow<never, infer Output>
      ? Output
      : never

/** What is said about one step of a workflow. */
export interface BoundOptions {
  /** @default 'normal' */
  readonly priority?: JobPriority
  /** Pause before the step, from the end of the one before it. At least 0. @default 0 */
  readonly delayMs?: number
  /** @default the task's, after routing */
  readonly queue?: string
}

/** The result of each step, in order. */
type Outputs<Steps extends readonly Step[]> = {
  -readonly [Key in keyof Steps]: OutputOf<Steps[Key]>
}

/** What suits all steps at once. */
type CommonInput<Steps extends readonly Step[]> = {
  [Key in keyof Steps]: (input: InputOf<Steps[Key]>) => void
}[number] extends (input: infer Input) => void
  ? Input
  : never

/** A step with its input. Made by `task.with`. */
export function bind<Input, Output>(
  task: Task<Input, Output>,
  input: Input,
  options: BoundOptions = {},
): Flow<unknown, Output> {
  task.check(input)
  return { plan: { ...stepOf(task), ...options, input: { value: input } } }
}

/** One after the other; each task takes what the step before it returned. */
export function chain<A, B>(first: Step<A, B>): Flow<A, B>
export function chain<A, B, C>(first: Step<A, B>, second: Step<NoInfer<B>, C>): Flow<A, C>
export function chain<A, B, C, D>(
  first: Step<A, B>,
  second: Step<NoInfer<B>, C>,
  third: Step<NoInfer<C>, D>,
): Flow<A, D>
export function chain<A, B, C, D, E>(
  first: Step<A, B>,
  second: Step<NoInfer<B>, C>,
  third: Step<NoInfer<C>, D>,
  fourth: Step<NoInfer<D>, E>,
): Flow<A, E>
export function chain<A, B, C, D, E, F>(
  first: Step<A, B>,
  second: Step<NoInfer<B>, C>,
  third: Step<NoInfer<C>, D>,
  fourth: Step<NoInfer<D>, E>,
  fifth: Step<NoInfer<E>, F>,
): Flow<A, F>
/** Longer ones are chains of chains. */
export function chain(...steps: readonly Step[]): Flow<never, unknown> {
  return { plan: { kind: 'chain', steps: steps.map(planOf) } }
}

/** At the same time; gives the results in the order of the steps. All take what the step before the group returned. */
export function group<const Steps extends readonly Step[]>(
  ...steps: Steps
): Flow<CommonInput<Steps>, Outputs<Steps>> {
  return { plan: { kind: 'group', steps: steps.map(planOf) } }
}

/** A group and what is made of its results. */
export function chord<const Steps extends readonly Step[], Output>(
  steps: Steps,
  then: Step<NoInfer<Outputs<Steps>>, Output>,
): Flow<CommonInput<Steps>, Output> {
  return { plan: { kind: 'chain', steps: [group(...steps).plan, planOf(then)] } }
}

/** A job for each input; without inputs, for each element of the array that the step before it returned. */
export function map<Input, Output>(
  task: Task<Input, Output>,
  inputs: readonly NoInfer<Input>[],
): Flow<unknown, Output[]>
export function map<Input, Output>(task: Task<Input, Output>): Flow<readonly Input[], Output[]>
export function map<Input, Output>(
  task: Task<Input, Output>,
  inputs?: readonly Input[],
): Flow<never, Output[]> {
  if (inputs === undefined) return { plan: { kind: 'each', step: stepOf(task) } }
  return { plan: { kind: 'group', steps: inputs.map((input) => bind(task, input).plan) } }
}

/** As {@link map}, with so many inputs in one job. Gives one flat list of results. */
export function chunks<Input, Output>(
  task: Task<Input, Output>,
  inputs: readonly NoInfer<Input>[],
  chunkSize: number,
): Flow<unknown, Output[]> {
  if (!(Number.isSafeInteger(chunkSize) && chunkSize >= 1)) {
    throw new RangeError(`chunkSize must be a whole number of at least 1, got ${chunkSize}`)
  }
  const steps: Plan[] = []
  for (let start = 0; start < inputs.length; start += chunkSize) {
    const value = inputs.slice(start, start + chunkSize)
    for (const input of value) task.check(input)
    steps.push({ ...stepOf(task), input: { value }, chunk: value.length })
  }
  return { plan: { kind: 'group', steps, isFlat: true } }
}

/** The plan of a step, be it a task or a flow. */
export function planOf(step: Step): Plan {
  return 'plan' in step ? step.plan : stepOf(step)
}

function stepOf({ name, queue, maxAttempts }: Task): Plan & { readonly kind: 'step' } {
  return { kind: 'step', task: name, queue, maxAttempts }
}
