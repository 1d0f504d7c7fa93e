/* oxlint-disable unicorn/require-post-message-target-origin -- a port has no origin. */
import { parentPort } from 'node:worker_threads'
import type { HeldLease, LeaseNews, LeaseOrders } from './lease-keeper.ts'

export interface ServeLeasesOptions {
  readonly leaseMs: number
  /** Renews leases of one queue, and resolves to the ids of those that are lost. */
  readonly extend: (queue: string, leases: readonly HeldLease[]) => Promise<readonly string[]>
}

/** Renewals in a lease: two may fail before it is lost. */
const RENEWALS = 3

/** What the thread of a `LeaseKeeper` does: renews what it is told to hold, until its owner ends it. */
export function serveLeases({ leaseMs, extend }: ServeLeasesOptions): void {
  const held = new Map<string, { readonly lease: HeldLease; readonly untilMs: number }>()
  parentPort?.on('message', ({ hold, drop }: LeaseOrders) => {
    for (const lease of hold) {
      held.set(lease.token, { lease, untilMs: performance.now() + lease.holdMs })
    }
    for (const token of drop) held.delete(token)
  })
  let isBusy = false
  const renew = async (): Promise<void> => {
    const lost = new Set<string>()
    for (const [token, { untilMs }] of held) if (untilMs <= performance.now()) lost.add(token)
    for (const token of lost) held.delete(token)
    const leases = [...held.values()].map(({ lease }) => lease)
    const byQueue = Map.groupBy(leases, ({ queue }) => queue)
    await Promise.all(
      [...byQueue].map(async ([queue, group]) => {
        const ids = new Set(await extend(queue, group))
        for (const { jobId, token } of group)
          if (ids.has(jobId) && held.delete(token)) lost.add(token)
      }),
    )
    if (lost.size > 0) tell({ type: 'lost', tokens: [...lost] })
  }
  setInterval(() => {
    if (isBusy) return
    isBusy = true
    renew()
      .catch((error: unknown) => tell({ type: 'error', message: String(error) }))
      .finally(() => (isBusy = false))
  }, leaseMs / RENEWALS)
  tell({ type: 'ready' })
}

function tell(news: LeaseNews): void {
  parentPort?.postMessage(news)
}
