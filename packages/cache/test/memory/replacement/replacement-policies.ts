import { MemoryTier } from '@dharma/cache/memory'
import { linkedKey, LinkedKeys, type LinkedKey } from './linked-keys.ts'
import { WTinyLfu } from './w-tiny-lfu.ts'

/** A policy that is told of each read in order: true for a hit, and a miss is stored. */
export type Replacement = (key: number) => boolean

/** The policies that are compared, by name, ours first; each for a number of entries. */
export const REPLACEMENTS: Readonly<Record<string, (room: number) => Replacement>> = {
  dharma(room) {
    const tier = new MemoryTier({ maxEntries: room })
    return (key) => {
      const name = String(key)
      if (tier.hit(name) >= 0) return true
      tier.store(name, key, { freshForMs: Number.POSITIVE_INFINITY })
      return false
    }
  },
  LRU: lru,
  SIEVE: sieve,
  'S3-FIFO': s3Fifo,
  'W-TinyLFU'(room) {
    const policy = new WTinyLfu(room)
    return (key) => policy.read(key)
  },
}

/** Share of the keys that are hits, 0 to 1. */
export function hitRatio(policy: Replacement, keys: Iterable<number>): number {
  let hits = 0
  let reads = 0
  for (const key of keys) {
    reads++
    if (policy(key)) hits++
  }
  return hits / reads
}

function lru(room: number): Replacement {
  const nodes = new Map<number, LinkedKey>()
  const list = new LinkedKeys()
  return (key) => {
    const known = nodes.get(key)
    if (known !== undefined) list.remove(known)
    else if (list.size >= room) nodes.delete(list.shift().key)
    const node = known ?? linkedKey(key)
    nodes.set(key, node)
    list.push(node)
    return known !== undefined
  }
}

/** Source: Zhang et al., "SIEVE is simpler than LRU", NSDI 2024. */
function sieve(room: number): Replacement {
  const nodes = new Map<number, LinkedKey>()
  const list = new LinkedKeys()
  let hand: LinkedKey | undefined
  const evict = (): void => {
    let victim = (hand ?? list.oldest) as LinkedKey
    while (victim.reads > 0) {
      victim.reads = 0
      victim = (victim.newer ?? list.oldest) as LinkedKey
    }
    hand = victim.newer
    list.remove(victim)
    nodes.delete(victim.key)
  }
  return (key) => {
    const known = nodes.get(key)
    if (known !== undefined) {
      known.reads = 1
      return true
    }
    if (list.size >= room) evict()
    const node = linkedKey(key)
    nodes.set(key, node)
    list.push(node)
    return false
  }
}

/** As in the paper: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023. */
function s3Fifo(room: number): Replacement {
  const nodes = new Map<number, LinkedKey>()
  const [small, main] = [new LinkedKeys(), new LinkedKeys()]
  const ghosts = new Map<number, LinkedKey>()
  const ghostOrder = new LinkedKeys()
  const smallRoom = Math.max(1, Math.floor(room / 10))
  const mainRoom = Math.max(1, room - smallRoom)
  const remember = (key: number): void => {
    const ghost = linkedKey(key)
    ghosts.set(key, ghost)
    ghostOrder.push(ghost)
    if (ghostOrder.size > mainRoom) ghosts.delete(ghostOrder.shift().key)
  }
  const evictMain = (): void => {
    for (;;) {
      const node = main.shift()
      if (node.reads === 0) {
        nodes.delete(node.key)
        return
      }
      node.reads--
      main.push(node)
    }
  }
  const evict = (): void => {
    while (small.size > 0 && (small.size >= smallRoom || main.size === 0)) {
      const node = small.shift()
      if (node.reads <= 1) {
        nodes.delete(node.key)
        remember(node.key)
        return
      }
      node.reads = 0
      main.push(node)
      if (main.size > mainRoom) evictMain()
      if (small.size + main.size < room) return
    }
    evictMain()
  }
  return (key) => {
    const known = nodes.get(key)
    if (known !== undefined) {
      known.reads = Math.min(3, known.reads + 1)
      return true
    }
    const ghost = ghosts.get(key)
    if (small.size + main.size >= room) evict()
    const node = linkedKey(key)
    nodes.set(key, node)
    if (ghost === undefined || ghost.list === undefined) {
      small.push(node)
    } else {
      ghosts.delete(key)
      ghostOrder.remove(ghost)
      main.push(node)
    }
    return false
  }
}
