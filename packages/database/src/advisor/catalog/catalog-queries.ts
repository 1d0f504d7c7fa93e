/** Tables and materialized views of users, with what was written to them since the statistics began. */
export const TABLES = `
  select c.oid::int8::text as oid, n.nspname as schema, c.relname as name,
         quote_ident(n.nspname) || '.' || quote_ident(c.relname) as quoted,
         greatest(c.reltuples, 0)::float8 as rows, c.relkind = 'p' as "isPartitioned",
         case when c.relkind = 'p' then 0 else (pg_relation_size(c.oid) / 8192)::float8 end as pages,
         coalesce(array_position(current_schemas(true), n.nspname), 1000) as "pathPosition",
         coalesce(s.n_tup_ins, 0)::float8 as inserts, coalesce(s.n_tup_upd, 0)::float8 as updates,
         coalesce(s.n_tup_hot_upd, 0)::float8 as "hotUpdates", coalesce(s.n_tup_del, 0)::float8 as deletes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_stat_all_tables s on s.relid = c.oid
  where c.relkind in ('r', 'p', 'm') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and has_table_privilege(c.oid, 'select')`

/** Their columns with the statistics. */
export const COLUMNS = `
  select a.attrelid::int8::text as "tableOid", a.attname as name, quote_ident(a.attname) as quoted,
         format_type(a.atttypid, a.atttypmod) as type, t.typname as "baseType", t.typcategory as category,
         a.attnotnull as "isNotNull",
         coalesce(co.collname in ('C', 'POSIX') or (co.collname = 'default' and d.datcollate in ('C', 'POSIX')), false) as "isCCollation",
         coalesce(s.null_frac, 0)::float8 as "nullFraction", coalesce(s.n_distinct, 0)::float8 as "distinct",
         coalesce(s.avg_width, 8)::float8 as width, coalesce(s.correlation, 0)::float8 as correlation,
         coalesce(s.most_common_vals::text::text[], '{}') as "commonValues",
         coalesce(s.most_common_freqs, '{}')::float8[] as "commonFrequencies",
         coalesce(s.histogram_bounds::text::text[], '{}') as bounds,
         s.attname is not null as "hasStatistics"
  from pg_attribute a
    join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid join pg_database d on d.datname = current_database()
    left join pg_collation co on co.oid = a.attcollation
    left join lateral (
      select * from pg_stats s
      where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
      order by s.inherited desc limit 1
    ) s on true
  where a.attnum > 0 and not a.attisdropped and a.attrelid = any($1::oid[])
  order by a.attrelid, a.attnum`

/** Their indexes. The first `keyCount` of `keys` are the key, the others are included. */
export const INDEXES = `
  select i.indrelid::int8::text as "tableOid", c.relname as name,
         quote_ident(n.nspname) || '.' || quote_ident(c.relname) as quoted, am.amname as method,
         pg_get_indexdef(i.indexrelid) as definition, i.indnkeyatts::int as "keyCount",
         array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnatts) k) as keys,
         array(select o.opcname from unnest(i.indclass::oid[]) with ordinality x(id, k)
               join pg_opclass o on o.oid = x.id order by k)::text[] as classes,
         i.indoption::int2[]::int[] as options,
         pg_get_expr(i.indpred, i.indrelid, true) as predicate,
         i.indisunique as "isUnique", i.indisprimary or i.indisreplident or exists (
           select from pg_constraint k where k.conindid = i.indexrelid) as "isConstraint",
         i.indisvalid as "isValid", coalesce(s.idx_scan, 0)::float8 as scans,
         pg_relation_size(i.indexrelid)::float8 as "sizeBytes",
         exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid) as "isInProgress"
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_am am on am.oid = c.relam left join pg_stat_all_indexes s on s.indexrelid = i.indexrelid
  where i.indrelid = any($1::oid[]) order by c.relname`

/** What the server as a whole says. */
export const SERVER = `
  select current_setting('server_version_num')::int as version,
         exists (select from pg_extension where extname = 'hypopg') as "hasHypopg",
         exists (select from pg_extension where extname = 'pg_trgm') as "hasTrigram",
         exists (select from pg_available_extensions where name = 'pg_trgm') as "canHaveTrigram",
         extract(epoch from now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::float8 as "statisticsSeconds"
  from pg_stat_database d where d.datname = current_database()`
