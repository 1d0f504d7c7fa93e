/** Where a service runs: what decides about its defaults. */
export type Profile = 'development' | 'test' | 'production'

/** The profiles, in the order in which documentation lists them. */
export const profiles: readonly Profile[] = ['development', 'test', 'production']

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The variable that names the profile. */
export const PROFILE_VARIABLE = 'DHARMA_PROFILE'

/**
 * The profile of an environment: `DHARMA_PROFILE`, else `NODE_ENV`, else `development`. A `NODE_ENV`
 * that is none of the three, such as `staging`, means `production`: a place that is not known gets
 * the strict defaults.
 *
 * @returns `undefined` when `DHARMA_PROFILE` is none of the three
 */
export function readProfile(environment: Environment = process.env): Profile | undefined {
  const named = environment[PROFILE_VARIABLE]?.trim() ?? ''
  if (named !== '') return asProfile(named)
  const nodeEnv = environment['NODE_ENV']?.trim() ?? ''
  if (nodeEnv === '') return 'development'
  return asProfile(nodeEnv) ?? 'production'
}

function asProfile(name: string): Profile | undefined {
  return profiles.find((profile) => profile === name)
}
