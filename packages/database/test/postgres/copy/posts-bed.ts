import { PostgresManager } from '@dharma/database/postgres'
import { afterAll, afterEach, beforeAll } from 'vitest'

/** A table of posts in a schema of its own, empty before each test of the suite. */
export class PostsBed {
  readonly #url: string
  readonly schema: string
  readonly posts: string
  #database: PostgresManager | undefined

  /** To be called in a `describe`. */
  constructor(url: string, schema: string) {
    this.#url = url
    this.schema = schema
    this.posts = `${schema}.posts`
    beforeAll(() => this.#open())
    afterEach(async () => {
      await this.database.query(`truncate ${this.posts}`)
    })
    afterAll(() => this.#close())
  }

  get database(): PostgresManager {
    if (this.#database === undefined) throw new Error('the database is there within tests only')
    return this.#database
  }

  async all(): Promise<unknown[]> {
    const { rows } = await this.database.query(`select id, body from ${this.posts} order by id`)
    return rows
  }

  async fill(count: number): Promise<void> {
    await this.database.query(
      `insert into ${this.posts} (id, body) select i, repeat('x', 100) from generate_series(1, $1::int) i`,
      [count],
    )
  }

  async #open(): Promise<void> {
    // One session: whatever leaves it unusable is seen by the next statement.
    const options = { url: this.#url, pool: { max: 1 }, pipeline: false }
    this.#database = await new PostgresManager(options).connect()
    await this.#database.query(`drop schema if exists ${this.schema} cascade`)
    await this.#database.query(`create schema ${this.schema}`)
    await this.#database.query(
      `create table ${this.posts} (id int primary key, body text, likes int default 0, code text, unique (code))`,
    )
  }

  async #close(): Promise<void> {
    await this.database.query(`drop schema ${this.schema} cascade`)
    await this.database.close()
  }
}
