import type { Predicate } from '../analysis/statement-shape.ts'
import type { ServerFacts } from '../catalog/catalog.ts'
import type { IndexForm } from './index-form.ts'
import { plainKey } from './key-lists.ts'

/** Blocks from which a block range index leaves out enough. */
const MIN_BRIN_PAGES = 1_000
const MIN_CORRELATION = 0.95

/** The GIN or BRIN index that serves one predicate. */
export function invertedFormsOf(
  { kind, key }: Predicate,
  server: ServerFacts,
): readonly IndexForm[] {
  const { table } = key.use
  const form = (method: 'gin' | 'brin', operatorClass?: string): readonly IndexForm[] => {
    const keys = [{ ...plainKey(key), operatorClass }]
    const whole = { include: [], predicate: undefined, fraction: 1, predicateColumns: [] }
    return [{ table, method, keys, ...whole }]
  }
  switch (kind) {
    case 'contains':
      if (key.column?.baseType === 'jsonb') return form('gin', 'jsonb_path_ops')
      if (key.column?.category === 'A' || key.column?.baseType === 'tsvector') return form('gin')
      // to_tsvector with a configuration is an expression that can be indexed.
      return key.sql.startsWith('to_tsvector(') && key.sql.includes(', ') ? form('gin') : []
    case 'has-key':
      return key.column?.baseType === 'jsonb' ? form('gin') : []
    case 'overlaps':
      return key.column?.category === 'A' ? form('gin') : []
    case 'infix':
    case 'suffix':
    case 'insensitive':
      return server.hasTrigram || server.canHaveTrigram ? form('gin', 'gin_trgm_ops') : []
    case 'range': {
      const { correlation = 0 } = key.column ?? {}
      const isLarge = table.pages >= MIN_BRIN_PAGES
      return isLarge && Math.abs(correlation) >= MIN_CORRELATION ? form('brin') : []
    }
    case 'equal':
    case 'in':
    case 'join':
    case 'prefix':
    case 'has-element':
    case 'is-null':
    case 'not-null':
    case 'is-true':
    case 'is-false':
      return []
  }
}
