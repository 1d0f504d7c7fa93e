import type { Airport } from './real-data.ts'
import { pick, seededRandom, skewed } from './random.ts'

export const CAMPAIGNS = 60
export const TOPICS = ['travel', 'music', 'food', 'sport', 'science', 'fashion'] as const

const WORDS =
  'sun delay gate city night window coffee train story friend photo music food market light river'.split(
    ' ',
  )
const BOT_WORDS = ['win', 'free', 'click', 'now', 'offer']
/** One profile in so many posts the same text again and again. */
const BOT_EVERY = 25

export interface ProfileRow {
  readonly id: number
  readonly handle: string
  readonly display_name: string
  readonly home_airport: string
  readonly created_at: Date
  readonly attributes: { readonly topics: readonly string[]; readonly verified: boolean }
}

export interface FollowRow {
  readonly follower: number
  readonly followee: number
}

export interface PostDocument {
  readonly profileId: number
  readonly campaignId: number
  readonly text: string
  readonly likes: number
  readonly createdAt: Date
}

export function* generateProfiles(
  count: number,
  airports: readonly Airport[],
): Generator<ProfileRow> {
  const random = seededRandom(1)
  for (let id = 1; id <= count; id++) {
    yield {
      id,
      handle: `user_${id}`,
      display_name: `${pick(random, WORDS)} ${pick(random, WORDS)} №${id}`,
      home_airport: pick(random, airports).iata,
      created_at: new Date(1_600_000_000_000 + id * 60_000),
      attributes: {
        topics: [pick(random, TOPICS), pick(random, TOPICS)],
        verified: random() < 0.1,
      },
    }
  }
}

/** Each profile follows a few others, popular ones more often, and nobody twice. */
export function* generateFollows(profiles: number, each: number): Generator<FollowRow> {
  const random = seededRandom(2)
  for (let follower = 1; follower <= profiles; follower++) {
    const followees = new Set<number>()
    for (let index = 0; index < each; index++) followees.add(1 + skewed(random, profiles))
    for (const followee of followees) yield { follower, followee }
  }
}

export function* generatePosts(count: number, profiles: number): Generator<PostDocument> {
  const random = seededRandom(3)
  for (let index = 0; index < count; index++) {
    const profileId = 1 + Math.floor(random() * profiles)
    const isBot = profileId % BOT_EVERY === 0
    const words = isBot ? BOT_WORDS : Array.from({ length: 8 }, () => pick(random, WORDS))
    yield {
      profileId,
      campaignId: 1 + skewed(random, CAMPAIGNS),
      text: words.join(' '),
      likes: skewed(random, 1_000),
      createdAt: new Date(1_700_000_000_000 + index * 1_000),
    }
  }
}
