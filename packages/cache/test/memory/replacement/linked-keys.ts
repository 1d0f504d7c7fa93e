/** A key in a list, with what a policy notes of it. */
export interface LinkedKey {
  readonly key: number
  reads: number
  list: LinkedKeys | undefined
  newer: LinkedKey | undefined
  older: LinkedKey | undefined
}

/** Keys in an order, the newest first. */
export class LinkedKeys {
  newest: LinkedKey | undefined
  oldest: LinkedKey | undefined
  size = 0

  push(node: LinkedKey): void {
    node.list = this
    node.newer = undefined
    node.older = this.newest
    if (this.newest === undefined) this.oldest = node
    else this.newest.newer = node
    this.newest = node
    this.size++
  }

  remove(node: LinkedKey): void {
    if (node.newer === undefined) this.newest = node.older
    else node.newer.older = node.older
    if (node.older === undefined) this.oldest = node.newer
    else node.older.newer = node.newer
    node.list = undefined
    this.size--
  }

  /** Takes out the oldest; the list must not be empty. */
  shift(): LinkedKey {
    const node = this.oldest as LinkedKey
    this.remove(node)
    return node
  }
}

export function linkedKey(key: number): LinkedKey {
  return { key, reads: 0, list: undefined, newer: undefined, older: undefined }
}
