import { ManualClock } from '@dharma/core/testing'
import { expect, it } from 'vitest'
import { Plans } from '../../src/query-cache/plans.ts'
import { TransactionWrites } from '../../src/query-cache/transaction-writes.ts'
import { callsOfAction } from '../../src/query-cache/trigger-effects.ts'

it('plans are found once, kept for their time, and the ones in use stay when there are many', async () => {
  const clock = new ManualClock()
  const found: string[] = []
  const find = (text: string): Promise<string> => {
    found.push(text)
    return Promise.resolve(`plan of ${text}`)
  }
  const plans = new Plans(find, { ttlMs: 100, clock, max: 4 })
  expect(await Promise.all([plans.get('a'), plans.get('a')])).toEqual(['plan of a', 'plan of a'])
  expect(found).toEqual(['a'])
  for (const text of ['b', 'c']) await plans.get(text)
  expect(plans.known('a')).toBe('plan of a')
  for (const text of ['d', 'e', 'f', 'g']) await plans.get(text)
  expect(plans.known('a')).toBeUndefined()
  expect(plans.known('g')).toBe('plan of g')
  await clock.advance(100)
  expect(plans.known('g')).toBeUndefined()
})

it('a plan that was being found when all were forgotten is not kept, and neither is a failure', async () => {
  const first = Promise.withResolvers<string>()
  const outcomes = [first.promise, Promise.reject(new Error('no server')), Promise.resolve('new')]
  outcomes[1]?.catch(() => undefined)
  const plans = new Plans(() => outcomes.shift() ?? Promise.resolve('later'), {
    ttlMs: 100,
    clock: new ManualClock(),
    max: 4,
  })
  const finding = plans.get('a')
  plans.clear()
  first.resolve('old')
  expect(await finding).toBe('old')
  expect(plans.known('a')).toBeUndefined()
  await expect(plans.get('a')).rejects.toThrow('no server')
  expect(await plans.get('a')).toBe('new')
})

it('what was written behind a savepoint goes with it, or stays when it is released', () => {
  const writes = new TransactionWrites()
  const step = (
    action: 'savepoint' | 'release' | 'rollback to' | 'begin',
    savepoint?: string,
  ): void => writes.control({ action, savepoint })
  step('begin')
  expect(writes.isEmpty).toBe(true)
  writes.add('a')
  step('savepoint', 's')
  writes.add('b')
  step('savepoint', 't')
  writes.add('c')
  step('release', 't')
  step('rollback to', 'nowhere')
  expect([...writes.texts]).toEqual(['a', 'b', 'c'])
  step('rollback to', 's')
  expect([...writes.texts]).toEqual(['a'])
  writes.add('d')
  step('release', 's')
  expect([...writes.texts]).toEqual(['a', 'd'])
  expect(writes.isEmpty).toBe(false)
})

it.each([
  ['plpgsql', 'f', 'begin new.updated_at := now(); return new; end', true],
  ['plpgsql', 'f', "begin -- insert\n raise exception 'no update of %', old.id; end", true],
  ['plpgsql', 'f', 'begin insert into t values (1); return new; end', false],
  ['plpgsql', 'f', "begin execute 'x'; return new; end", false],
  ['plpgsql', 'f', 'begin new.x := app.f(new.y); return new; end', false],
  ['plpgsql', 'f', `begin new."at" := now(); raise 'nicht möglich -- it''s so'; end`, true],
  ['plpgsql', 'f', 'begin new.x := "write it"(); return new; end', false],
  ['plpgsql', 'f', 'begin new.x := u&"f"(); return new; end', false],
  ['plpgsql', 'f', 'begin new.x := é(); return new; end', false],
  ['plpgsql', 'f', 'begin new.x := élower(new.x); return new; end', false],
  ['plpgsql', 'f', 'begin new.x := (new).f; return new; end', false],
  ['plpgsql', 'f', 'begin new.x := new.row.f; return new; end', false],
  ['plpgsql', 'f', String.raw`begin new.x := E'\''; insert into t values ('x'); end`, false],
  ['plpgsql', 'f', `begin new.x := $q$it's$q$; insert into t values ('x'); end`, false],
  ['plpgsql', 'f', `begin /* /* */ ' */ insert into t values ('x'); end`, false],
  ['plpgsql', 'f', 'begin -- then\rinsert into t values (1); end', false],
  ['c', 'moddatetime', 'moddatetime', true],
  ['internal', 'suppress_redundant_updates_trigger', '', true],
  ['c', 'something', '', false],
  ['plv8', 'f', '', false],
  ['rule', '', '', false],
])(
  'a trigger in %s named %s that does %o is harmless: %o',
  (language, name, source, isHarmless) => {
    const calls = callsOfAction({ language, function: name, source })
    expect(calls !== undefined).toBe(isHarmless)
  },
)
