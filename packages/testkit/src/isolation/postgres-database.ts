import { Client } from 'pg'
import { uniqueName } from './unique-name.ts'

/** A database of its own on a shared server; `await using` drops it at the end of the block. */
export interface FreshDatabase extends AsyncDisposable {
  readonly url: string
  readonly name: string
  /** Drops the database, open connections included. A second call does nothing. */
  drop(): Promise<void>
}

/** Creates an empty PostgreSQL database with a new name on the server at `url`. */
export async function createPostgresDatabase(url: string, stem?: string): Promise<FreshDatabase> {
  const name = uniqueName(stem)
  await runOn(url, `create database ${name}`)
  const drop = (): Promise<void> => runOn(url, `drop database if exists ${name} with (force)`)
  const own = new URL(url)
  own.pathname = `/${name}`
  return { url: own.href, name, drop, [Symbol.asyncDispose]: drop }
}

/** Creates an empty schema with a new name; the URL puts it first in the search path. */
export async function createPostgresSchema(url: string, stem?: string): Promise<FreshDatabase> {
  const name = uniqueName(stem)
  await runOn(url, `create schema ${name}`)
  const drop = (): Promise<void> => runOn(url, `drop schema if exists ${name} cascade`)
  const own = new URL(url)
  own.searchParams.set('options', `-c search_path=${name},public`)
  // libpq does not read a plus sign as a space.
  own.search = own.search.replaceAll('+', '%20')
  return { url: own.href, name, drop, [Symbol.asyncDispose]: drop }
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
