import { Operation, type OperationFacts, type OperationOptions } from './operation.ts'

/** Every operation of this process by name; there are as many as the code defines. */
const operations = new Map<string, Operation<never>>()
const listeners = new Set<(operation: Operation<never>) => void>()

/**
 * Defines an operation; the same name gives the same operation again.
 *
 * @param name `owner:component:operation` in kebab case, such as `dharma:cache:load`.
 * @throws RangeError when the name has another form, or is taken with other attributes or kind.
 */
export function createOperation<Facts extends OperationFacts>(
  name: string,
  options: OperationOptions<Facts>,
): Operation<Facts> {
  if (!NAME.test(name)) {
    throw new RangeError(`operation must be named owner:component:operation, got '${name}'`)
  }
  const operation = new Operation<Facts>(name, options)
  const existing = operations.get(name) as Operation<Facts> | undefined
  if (existing !== undefined) {
    if (isSame(existing, operation)) return existing
    throw new RangeError(`operation '${name}' is already defined with other attributes or kind`)
  }
  operations.set(name, operation as Operation<never>)
  for (const listener of listeners) listener(operation as Operation<never>)
  return operation
}

/** Calls back for each operation that is defined, and each defined later, until disposed. */
export function onOperation(listener: (operation: Operation<never>) => void): Disposable {
  for (const operation of operations.values()) listener(operation)
  listeners.add(listener)
  return { [Symbol.dispose]: () => void listeners.delete(listener) }
}

function isSame<Facts extends OperationFacts>(
  one: Operation<Facts>,
  other: Operation<Facts>,
): boolean {
  return one.kind === other.kind && one.attributes.join() === other.attributes.join()
}

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?::[a-z0-9]+(?:-[a-z0-9]+)*){2}$/
