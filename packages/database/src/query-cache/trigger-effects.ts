import type { ActionFacts } from './server-catalog.ts'

/** Strings, dollar quotes, quoted names and comments. */
const OPAQUE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g
/** Words of PL/pgSQL and SQL behind which something may be written, or any function be called. */
const ACTING =
  /\b(?:insert|update|delete|merge|truncate|copy|execute|perform|call|select|refresh|create|alter|drop|import|do)\b/
const CALL = /([\w.$"]+)\s*\(/g
const HARMLESS_CALLS: ReadonlySet<string> = new Set(
  `if elsif and or not in when then raise return coalesce nullif greatest least now clock_timestamp
   statement_timestamp transaction_timestamp lower upper trim btrim ltrim rtrim length substr substring left
   right replace regexp_replace concat concat_ws format md5 round floor ceil abs date_trunc extract to_char
   to_tsvector setweight to_jsonb jsonb_build_object jsonb_set gen_random_uuid array_length numeric varchar
   char timestamp timestamptz row_to_json row pg_notify pg_trigger_depth`.split(/\s+/),
)
/** Functions in C that only change the row at hand: of triggers, and of defaults. */
const HARMLESS_FUNCTIONS: ReadonlySet<string> = new Set([
  'moddatetime',
  'insert_username',
  'autoinc',
  'suppress_redundant_updates_trigger',
  'tsvector_update_trigger',
  'tsvector_update_trigger_column',
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'gen_random_uuid',
  'gen_random_bytes',
  'gen_salt',
])

/**
 * Whether a trigger, or the function of a default, surely writes no table but the row at hand, such
 * as one that sets `updated_at`: its text has no statement, and calls only functions that compute.
 */
export function isHarmlessAction({ language, function: name, source }: ActionFacts): boolean {
  if (language === 'internal' || language === 'c') return HARMLESS_FUNCTIONS.has(name)
  if (language !== 'plpgsql') return false
  const plain = source.replace(OPAQUE, ' ').toLowerCase()
  if (ACTING.test(plain)) return false
  for (const [, called = ''] of plain.matchAll(CALL)) {
    if (!HARMLESS_CALLS.has(called)) return false
  }
  return true
}
