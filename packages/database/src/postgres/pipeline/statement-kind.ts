/**
 * What a statement may be treated as, judged by its text alone. `read`: changes nothing, so that one
 * without an answer may be sent again. `single`: a statement of its own, which may share a
 * connection with others. `session`: anything that needs a connection to itself.
 */
export type StatementKind = 'read' | 'single' | 'session'

/** Strings, dollar quotes, quoted names and comments: what may hold any word without meaning it. */
const OPAQUE =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$/g

const READ_VERBS: ReadonlySet<string> = new Set(['select', 'values', 'table', 'with'])
const WRITE_VERBS: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** Words in a statement that reads which make it write, lock, or make a table. */
const WRITES = /\b(?:insert|update|delete|merge|into|share)\b/
/** Functions that change or depend on the session, wait, or work behind the statement's back. */
const SESSION_FUNCTIONS =
  /\b(?:set_config|setseed|currval|lastval|pg_sleep\w*|pg_(?:try_)?advisory\w*|pg_export_snapshot|dblink\w*|lo_\w+|pg_\w*backup\w*|pg_temp\w*|pg_replication\w*|pg_logical\w*)\b/

const WORD_BEFORE_PARENTHESIS = /(?:^|[^\w$."])((?:(?:\w+|"q")\s*\.\s*)*(?:\w+|"q"))\s*\(/g

/**
 * Words that may stand before a parenthesis in a statement that changes nothing: the language's own,
 * types, and functions of the server that only compute. A function that is not listed may do anything.
 */
const HARMLESS: ReadonlySet<string> = new Set(
  `select from where and or not in any some all exists as on using join lateral by having case when then else
   end distinct over filter within group between like ilike is values with materialized recursive union
   except intersect limit offset array row rows interval numeric decimal varchar char character bit
   time timestamp float unnest ordinality sets rollup cube
   count sum avg min max bool_and bool_or every array_agg string_agg json_agg jsonb_agg json_object_agg
   jsonb_object_agg mode percentile_cont percentile_disc stddev variance corr row_number rank dense_rank
   percent_rank ntile lag lead first_value last_value nth_value
   coalesce nullif greatest least abs ceil ceiling floor round trunc mod power sqrt exp ln log sign width_bucket
   lower upper length char_length octet_length substr substring position strpos replace trim ltrim rtrim btrim
   lpad rpad left right split_part concat concat_ws format initcap reverse repeat translate md5 encode decode
   regexp_replace regexp_match regexp_matches starts_with to_char to_number to_date to_timestamp cast
   now date_trunc date_part date_bin extract age make_date make_interval clock_timestamp
   array_length array_position array_to_string string_to_array cardinality array_append array_cat
   generate_series generate_subscripts
   to_json to_jsonb json_build_object jsonb_build_object json_build_array jsonb_build_array jsonb_array_elements
   jsonb_array_elements_text jsonb_array_length jsonb_each jsonb_each_text jsonb_extract_path
   jsonb_extract_path_text jsonb_path_query jsonb_path_exists jsonb_typeof jsonb_set jsonb_strip_nulls
   row_to_json to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery to_tsvector ts_rank ts_rank_cd
   similarity pg_backend_pid current_database current_schema version pg_typeof`.split(/\s+/),
)

/** Judges a statement; whatever is not understood for certain is the more dangerous kind. */
export function kindOf(text: string): StatementKind {
  const plain = text.replace(OPAQUE, mask).toLowerCase().trim().replace(/;$/, '')
  const verb = /^[\s(]*([a-z]+)/.exec(plain)?.[1] ?? ''
  const isReadVerb = READ_VERBS.has(verb)
  if (!isReadVerb && !WRITE_VERBS.has(verb)) return 'session'
  // A quote that is left over belongs to a form that was not understood, such as E'\''.
  if (plain.includes(';') || /\\|\bu&/.test(text) || SESSION_FUNCTIONS.test(plain)) return 'session'
  if (!isReadVerb || WRITES.test(plain))
    return /^select\b[\s\S]*\binto\b/.test(plain) ? 'session' : 'single'
  return callsOnlyHarmless(plain) ? 'read' : 'single'
}

function mask(part: string): string {
  if (part.startsWith('"')) return '"q"'
  return part.startsWith('-') || part.startsWith('/') ? ' ' : "''"
}

function callsOnlyHarmless(plain: string): boolean {
  for (const [, name = ''] of plain.matchAll(WORD_BEFORE_PARENTHESIS)) {
    const own = name.replace(/^pg_catalog\s*\.\s*/, '')
    // A number before a parenthesis is no call.
    if (!HARMLESS.has(own) && !/^\d+$/.test(own)) return false
  }
  return true
}
