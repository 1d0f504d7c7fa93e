import type { ActionFacts } from './server-catalog.ts'

/** Strings, quoted names, and comments to the end of a line. */
const OPAQUE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n\r]*/g
/**
 * What is left where the text was not understood for certain: a block comment, a dollar quote, a
 * letter outside of ASCII in a name, or a field of an expression or of a field, which may be a call.
 */
const UNCLEAR = /[^\t\n\r -~]|["'$]|\/\*|[)\]]\s*\.|\.\s*\w+\s*\./
/** Words of PL/pgSQL and SQL behind which something may be written, or any function be called. */
const ACTING =
  /\b(?:insert|update|delete|merge|truncate|copy|execute|perform|call|select|refresh|create|alter|drop|import|do)\b/
const CALL = /([\w.]+)\s*\(/g
const OPERATOR = /[-+*/<>=~!@#%^&|`?]+/g
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

/** What a function calls by names that the user may have given to functions of other effects. */
export interface ActionCalls {
  readonly functions: readonly string[]
  readonly operators: readonly string[]
}

/**
 * What a trigger, or the function of a default, calls, where it surely writes no table itself but
 * the row at hand, such as one that sets `updated_at`: its text has no statement, and names only
 * functions that compute. `undefined` where it may do anything.
 */
export function callsOfAction({
  language,
  function: name,
  source,
}: ActionFacts): ActionCalls | undefined {
  if (language === 'internal' || language === 'c') {
    return HARMLESS_FUNCTIONS.has(name) ? { functions: [], operators: [] } : undefined
  }
  // A string with a backslash may end elsewhere.
  if (language !== 'plpgsql' || source.includes('\\')) return undefined
  const plain = source
    .replace(OPAQUE, (part) => (part.startsWith('"') ? ' quoted ' : ' '))
    .toLowerCase()
  if (UNCLEAR.test(plain) || ACTING.test(plain)) return undefined
  const functions = [...plain.matchAll(CALL)].map(([, called = '']) => called)
  if (!functions.every((called) => HARMLESS_CALLS.has(called))) return undefined
  return { functions, operators: plain.match(OPERATOR) ?? [] }
}
