import type { SqlNode } from '../../sql/index.ts'

/** The last part of a name such as `pg_catalog.lower`. */
export function lastName(names: readonly SqlNode[] | undefined): string {
  const last = names?.at(-1)
  return last !== undefined && 'String' in last ? (last.String.sval ?? '') : ''
}

/** The parts of a column's name; a star gives `*`. */
export function partsOf(fields: readonly SqlNode[] | undefined): readonly string[] {
  return (fields ?? []).map((field) => ('String' in field ? (field.String.sval ?? '') : '*'))
}

/** The items of a list, or the one that is none. */
export function itemsOf(node: SqlNode | undefined): readonly SqlNode[] {
  if (node === undefined) return []
  return 'List' in node ? (node.List.items ?? []) : [node]
}

/** A literal as SQL writes it, casts around it included. */
export function literalOf(
  node: SqlNode | undefined,
): { readonly sql: string; readonly text: string } | undefined {
  if (node === undefined) return undefined
  if ('TypeCast' in node) {
    const inner = literalOf(node.TypeCast.arg)
    const type = typeNameOf(node)
    return inner === undefined || type === undefined
      ? undefined
      : { sql: `${inner.sql}::${type}`, text: inner.text }
  }
  if (!('A_Const' in node)) return undefined
  const { ival, fval, sval, boolval, isnull } = node.A_Const
  if (isnull === true) return undefined
  if (ival !== undefined) return bare(String(ival.ival ?? 0))
  if (fval !== undefined) return bare(fval.fval ?? '0')
  if (boolval !== undefined) return bare(String(boolval.boolval ?? false))
  if (sval === undefined) return undefined
  return { sql: quoteLiteral(sval.sval ?? ''), text: sval.sval ?? '' }
}

/** A string as SQL writes it. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** The type that a cast names, `undefined` where it has modifiers that this does not know how to write. */
export function typeNameOf(node: SqlNode): string | undefined {
  const type = 'TypeCast' in node ? node.TypeCast.typeName : undefined
  if (type === undefined || type.typmods !== undefined) return undefined
  const names = partsOf(type.names)
  if (!names.every((name) => /^[a-z_][a-z0-9_]*$/.test(name))) return undefined
  return names.join('.') + (type.arrayBounds === undefined ? '' : '[]')
}

function bare(text: string): { readonly sql: string; readonly text: string } {
  return { sql: text, text }
}
