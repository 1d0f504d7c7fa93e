import type { CreateContext, DestroyReason, ResourceFactory } from '@dharma/async/connection-pool'

/** What the tests lend. */
export interface Resource {
  readonly id: number
}

/** How the factory answers: at once, with an error, or when the test says so. */
export type Behaviour = 'works' | 'fails' | 'hangs'

interface Pending {
  readonly settle: (isDone: boolean) => void
}

/** A factory that a test steers, and which knows every resource that is open. */
export class TrackedFactory implements ResourceFactory<Resource> {
  readonly open: Set<Resource> = new Set()
  readonly destroyed: { readonly id: number; readonly reason: DestroyReason }[] = []
  readonly contexts: CreateContext[] = []
  /** Calls of `create` that have not settled. */
  readonly pending: Pending[] = []
  creating: Behaviour = 'works'
  destroying: Behaviour = 'works'
  mostOpen = 0
  attempts = 0

  create(context: CreateContext): Promise<Resource> {
    this.attempts += 1
    this.contexts.push(context)
    switch (this.creating) {
      case 'works':
        return Promise.resolve(this.#made())
      case 'fails':
        return Promise.reject(new Error(`attempt ${this.attempts} was refused`))
      case 'hangs':
        return new Promise((resolve, reject) => {
          const settle = (isDone: boolean): void => {
            this.pending.splice(this.pending.indexOf(entry), 1)
            if (isDone) resolve(this.#made())
            else reject(new Error('the attempt was refused in the end'))
          }
          const entry: Pending = { settle }
          this.pending.push(entry)
        })
    }
  }

  destroy(resource: Resource, reason: DestroyReason): void | Promise<void> {
    if (!this.open.delete(resource)) throw new Error(`${resource.id} was destroyed before`)
    this.destroyed.push({ id: resource.id, reason })
    switch (this.destroying) {
      case 'works':
        return undefined
      case 'fails':
        throw new Error(`${resource.id} could not be closed`)
      case 'hangs':
        return new Promise(() => {})
    }
  }

  #made(): Resource {
    const resource = { id: this.open.size + this.destroyed.length + 1 }
    this.open.add(resource)
    this.mostOpen = Math.max(this.mostOpen, this.open.size)
    return resource
  }
}

/** How a promise stands, without waiting for it. */
export interface Outcome<T> {
  state: 'pending' | 'resolved' | 'rejected'
  value?: T
  error?: unknown
}

/** Follows a promise, so that a test can look at it between two steps of its clock. */
export function follow<T>(promise: Promise<T>): Outcome<T> {
  const outcome: Outcome<T> = { state: 'pending' }
  promise.then(
    (value) => Object.assign(outcome, { state: 'resolved', value }),
    (error: unknown) => Object.assign(outcome, { state: 'rejected', error }),
  )
  return outcome
}
