/**
 * Which queue a free slot goes to. `fair`: all in turn. `strict`: an earlier queue's jobs always
 * come before a later one's. Weights: slots in these proportions while all have jobs. No slot stays
 * free in any order while some queue has a job.
 */
export type QueueOrderOption =
  | 'fair'
  | 'strict'
  | { readonly weights: Readonly<Record<string, number>> }

/** A queue and how many jobs it gives before the others are asked. */
export interface QueueShare {
  readonly name: string
  readonly share: number
}

interface WeightedQueue {
  readonly name: string
  readonly weight: number
  credit: number
  share: number
}

/** Divides free slots over queues. Source of the proportions: nginx's smooth weighted round robin. */
export class QueueOrder {
  readonly #isStrict: boolean
  readonly #queues: WeightedQueue[]

  /** @throws RangeError naming the weight that is not above 0 or is missing a queue */
  constructor(names: readonly string[], order: QueueOrderOption) {
    const weights = typeof order === 'object' ? order.weights : {}
    for (const [name, weight] of Object.entries(weights)) {
      if (!names.includes(name)) throw new RangeError(`order.weights names no queue '${name}'`)
      if (weight > 0 && Number.isFinite(weight)) continue
      throw new RangeError(`order.weights.${name} must be finite and above 0, got ${weight}`)
    }
    this.#isStrict = order === 'strict'
    this.#queues = names.map((name) => ({ name, weight: weights[name] ?? 1, credit: 0, share: 0 }))
  }

  /** The queues that are open, in the order in which `room` slots should be offered to them. */
  divide(room: number, isOpen: (name: string) => boolean): QueueShare[] {
    const open = this.#queues.filter(({ name }) => isOpen(name))
    if (this.#isStrict || open.length < 2) return open.map(({ name }) => ({ name, share: room }))
    const total = open.reduce((sum, { weight }) => sum + weight, 0)
    for (const queue of open) queue.share = 0
    const order = new Set<WeightedQueue>()
    for (let slot = 0; slot < room; slot++) {
      let best = open[0] as WeightedQueue
      for (const queue of open) {
        queue.credit += queue.weight
        if (queue.credit > best.credit) best = queue
      }
      best.credit -= total
      best.share++
      order.add(best)
    }
    for (const queue of open.toSorted((a, b) => b.credit - a.credit)) order.add(queue)
    return [...order].map(({ name, share }) => ({ name, share }))
  }
}
