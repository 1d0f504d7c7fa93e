import type { FunctionCall } from '../sql/index.ts'
import type { DeclaredEffects } from './cached-queries-options.ts'
import type { FunctionFacts } from './server-catalog.ts'

/**
 * Stable functions of the server whose results depend only on arguments and on settings that are
 * part of the scope, not on the moment, the session or tables. Source: pg_proc of PostgreSQL 15 and 18.
 */
const STEADY: ReadonlySet<string> = new Set(
  `array_agg array_to_json array_to_string concat concat_ws convert convert_from convert_to date date_part
   date_trunc extract format generate_series json_agg json_agg_strict json_build_array json_build_object
   json_object_agg json_object_agg_strict json_object_agg_unique json_populate_record json_populate_recordset
   json_to_record json_to_recordset json_to_tsvector jsonb_agg jsonb_agg_strict jsonb_build_array
   jsonb_build_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_path_exists_tz
   jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
   jsonb_populate_record jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector
   length make_timestamptz numeric overlaps phraseto_tsquery plainto_tsquery quote_literal quote_nullable
   row_to_json time timestamp timestamptz timetz timezone to_char to_date to_json to_jsonb to_number
   to_timestamp to_tsquery to_tsvector websearch_to_tsquery ts_headline ts_rank ts_rank_cd`.split(
    /\s+/,
  ),
)

/** What the language writes without parentheses and what depends on the moment or the session. */
const KEYWORDS: ReadonlySet<string> = new Set([
  'current_date',
  'current_time',
  'current_timestamp',
  'localtime',
  'localtimestamp',
  'current_role',
  'current_user',
  'user',
  'session_user',
  'current_catalog',
  'current_schema',
  'tablesample',
])

/** Tables that the function reads, or why its result must not be kept. */
export type FunctionVerdict =
  | { readonly kind: 'reads'; readonly tables: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string }

type DeclaredReads = Pick<DeclaredEffects, 'functionReads'>

const NO_TABLES: FunctionVerdict = { kind: 'reads', tables: [] }

/** Judges a call by all functions that it may mean, the worst of them counting. */
export function judgeFunction(
  call: FunctionCall,
  candidates: readonly FunctionFacts[],
  declared: DeclaredReads,
): FunctionVerdict {
  const { name, schema } = call
  if (schema === undefined && KEYWORDS.has(name)) {
    return refused(`${name} depends on the moment or the session`)
  }
  if (candidates.length === 0) return refused(`the server knows no function ${name}`)
  const tables: string[] = []
  for (const candidate of candidates) {
    const verdict = judgeCandidate(candidate, declared)
    if (verdict.kind === 'refused') return verdict
    tables.push(...verdict.tables)
  }
  return { kind: 'reads', tables }
}

/** Judges a function that is called. */
export function judgeCandidate(
  { schema, name, volatility, kind }: FunctionFacts,
  { functionReads }: DeclaredReads,
): FunctionVerdict {
  const full = `${schema}.${name}`
  if (volatility === 'volatile') return refused(`function ${full} is volatile`)
  if (schema === 'pg_catalog') {
    if (volatility === 'immutable' || kind !== 'function' || STEADY.has(name)) return NO_TABLES
    return refused(`function ${name} depends on the moment or the session`)
  }
  const declared = functionReads?.[full]
  if (declared !== undefined) return { kind: 'reads', tables: declared }
  // An aggregate counts as immutable whatever its parts do.
  if (volatility === 'immutable' && kind === 'function') return NO_TABLES
  return refused(`function ${full} may read any table: declare those that it reads`)
}

function refused(reason: string): FunctionVerdict {
  return { kind: 'refused', reason }
}
