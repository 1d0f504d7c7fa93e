import type { Redis } from 'ioredis'
import { existsSync } from 'node:fs'
import type { ClaimedJob, ClaimRequest } from '../task-queue/index.ts'
import { LeaseKeeper, type HeldLease } from '../task-queue/lease/lease-keeper.ts'
import type { LeaseEntryData } from './lease-entry.ts'

/** Renews the leases of BullMQ's jobs over a connection like this one, from a thread. */
export function createLeaseRenewal(
  redis: Redis,
  settings: Omit<LeaseEntryData, 'options'>,
  onError: (error: Error) => void,
): LeaseKeeper {
  const data: LeaseEntryData = { ...settings, options: cloneable(redis.options) }
  return new LeaseKeeper({ entry: leaseEntry(), data, onError })
}

/** The lease of a claimed job, for as long as its task may take. */
export function leaseOf(job: ClaimedJob, token: string, holdMs: ClaimRequest['holdMs']): HeldLease {
  return { queue: job.queue, jobId: job.id, token, holdMs: holdMs(job.task, job.meta) }
}

/** Options without the functions among them, which a thread cannot be given. */
function cloneable(options: Redis['options']): Redis['options'] {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => {
      try {
        structuredClone(value)
        return true
      } catch {
        return false
      }
    }),
  )
}

function leaseEntry(): URL {
  if (import.meta.url.endsWith('.ts')) return new URL('./lease-entry.ts', import.meta.url)
  const beside = new URL('./lease-entry.js', import.meta.url)
  // A chunk that several entries share lies one folder higher than the entries.
  return existsSync(beside) ? beside : new URL('./bullmq/lease-entry.js', import.meta.url)
}
