const MAX_NODES = 10_000

/**
 * Bytes that a value takes in the heap, roughly: strings by length, buffers exactly, objects by
 * their slots. Looks at 10,000 nodes at most and extrapolates beyond, so that it stays cheap.
 */
export function estimateSizeBytes(value: unknown): number {
  let bytes = 0
  let nodes = 0
  const queue: unknown[] = [value]
  const seen = new Set<object>()
  while (queue.length > 0 && nodes < MAX_NODES) {
    const node = queue.pop()
    nodes++
    bytes += ownSizeBytes(node)
    if (typeof node !== 'object' || node === null || ArrayBuffer.isView(node)) continue
    if (seen.has(node)) continue
    seen.add(node)
    addChildren(node, queue)
  }
  return queue.length === 0 ? bytes : Math.round((bytes * (nodes + queue.length)) / nodes)
}

function ownSizeBytes(node: unknown): number {
  switch (typeof node) {
    case 'string': {
      return 16 + node.length
    }
    case 'object': {
      if (node === null) return 8
      return 32 + (ArrayBuffer.isView(node) ? node.byteLength : 0)
    }
    case 'bigint': {
      return 24
    }
    case 'undefined':
    case 'boolean':
    case 'number':
    case 'symbol':
    case 'function': {
      return 8
    }
  }
}

function addChildren(node: object, queue: unknown[]): void {
  if (node instanceof Map) {
    for (const [key, child] of node) queue.push(key, child)
  } else if (node instanceof Set || Array.isArray(node)) {
    for (const child of node) queue.push(child)
  } else {
    for (const child of Object.values(node)) queue.push(child)
  }
}
