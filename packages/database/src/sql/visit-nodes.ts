import type { Node } from 'libpg-query'

/** A node of PostgreSQL's parse tree: an object with one property, named after its kind. */
export type SqlNode = Node

type KindOf<Union> = Union extends unknown ? keyof Union : never
type ContentOf<Kind extends PropertyKey, Union = Node> =
  Union extends Record<Kind, infer Content> ? Content : never

/** A function for each kind of node that is of interest. One that returns false keeps out of the node. */
export type NodeVisitor = {
  readonly [Kind in KindOf<Node>]?: (content: ContentOf<Kind>) => boolean | void
}

/**
 * Walks a parse tree, parents first, and calls the visitor's functions with the content of each
 * node, typed by its kind. Parts that the tree holds without their kind (`relation` of an INSERT,
 * the two sides of a UNION) are passed through, and what is in them is visited.
 */
export function visitNodes(tree: unknown, visitor: NodeVisitor): void {
  const stack: unknown[] = [tree]
  while (stack.length > 0) {
    const value = stack.pop()
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index--) stack.push(value[index])
      continue
    }
    if (typeof value !== 'object' || value === null) continue
    const entries = Object.entries(value)
    for (let index = entries.length - 1; index >= 0; index--) {
      const [key, child] = entries[index] as [string, unknown]
      if (isKind(key)) {
        const visit = visitor[key as keyof NodeVisitor] as
          | ((content: unknown) => unknown)
          | undefined
        if (visit?.(child) === false) continue
      }
      stack.push(child)
    }
  }
}

/** Kinds begin with a capital, fields with a small letter. */
export function isKind(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 65 && first <= 90
}
