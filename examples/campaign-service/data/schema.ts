import type { MongoManager } from '@dharma/database/mongodb'
import type { PostgresManager } from '@dharma/database/postgres'
import { CAMPAIGNS, TOPICS } from './social-data.ts'

const TABLES = `
drop table if exists bot_scores, follows, profiles, campaigns, airports, flights;
create table flights (id int, delay int not null, distance int not null, time real not null);
create table airports (iata text primary key, name text not null, city text, latitude float8 not null, longitude float8 not null);
create table profiles (
  id int primary key, handle text not null, display_name text not null,
  home_airport text not null, created_at timestamptz not null, attributes jsonb not null
);
create table follows (follower int not null, followee int not null);
create table campaigns (id int primary key, name text not null, topic text not null);
create table bot_scores (profile_id int primary key, score float8 not null, scored_at timestamptz not null);
`

/** What COPY would only slow down: added when the rows are there. */
const AFTER_LOAD = `
create index on follows (followee);
analyze;
`

/** Empty tables and collections. */
export async function createSchema(postgres: PostgresManager, mongo: MongoManager): Promise<void> {
  await postgres.query(TABLES)
  const campaigns = Array.from({ length: CAMPAIGNS }, (_, index) => {
    const topic = TOPICS[index % TOPICS.length]
    return { id: index + 1, name: `${topic} ${index + 1}`, topic }
  })
  await postgres.copyInto('campaigns', campaigns)
  await mongo.collection('posts').deleteMany({})
}

export async function createIndexes(postgres: PostgresManager, mongo: MongoManager): Promise<void> {
  await postgres.query(AFTER_LOAD)
  await mongo
    .collection('posts')
    .createIndexes([{ key: { campaignId: 1 } }, { key: { profileId: 1 } }])
}
