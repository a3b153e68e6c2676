import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { patternProblem, repositoryMatcher } from '../../../src/registry/repository-pattern.ts'

describe('repositoryMatcher()', () => {
  const rows: readonly (readonly [pattern: string, matches: readonly string[], not: readonly string[]])[] = [
    ['app', ['app'], ['app2', 'team/app', 'ap']],
    ['team/*', ['team/app', 'team/a-b'], ['team', 'team/app/debug', 'teams/app']],
    ['team/**', ['team/app', 'team/app/debug'], ['team', 'teams/app', 'other/team/app']],
    ['**', ['app', 'team/app', 'docker.io/library/debian'], []],
    ['*', ['app'], ['team/app']],
    ['**/debug', ['app/debug', 'team/app/debug'], ['debug', 'app/debug2']],
    ['a/**/z', ['a/b/z', 'a/b/c/z'], ['a/z', 'a/b']],
    ['app-*', ['app-1', 'app-'], ['app', 'app-1/x']],
    ['*-a-*b', ['x-a-b', 'x-a-a-cb'], ['x-ab', 'x-a-bc']],
    ['localhost:5000/*', ['localhost:5000/app'], ['localhost/app']],
  ]
  for (const [pattern, matches, not] of rows)
    it(`reads ${pattern}`, () => {
      assert.equal(patternProblem(pattern), undefined)
      const test = repositoryMatcher(pattern)
      for (const name of matches) assert.equal(test(name), true, name)
      for (const name of not) assert.equal(test(name), false, name)
    })

  it('takes no long time for any pattern', () => {
    const stars = repositoryMatcher(`${'*a'.repeat(120)}b`)
    assert.equal(stars('a'.repeat(255)), false)
    const parts = repositoryMatcher(`${'**/'.repeat(60)}b`)
    assert.equal(parts('a/'.repeat(127).slice(0, -1)), false)
  })
})

describe('patternProblem()', () => {
  for (const bad of ['', '/a', 'a//b', 'a/', 'Team/**', 'a**', '***', 'a b', 'a/..?', `${'a'.repeat(256)}`])
    it(`refuses ${JSON.stringify(bad.slice(0, 20))}`, () =>
      assert.equal(typeof patternProblem(bad), 'string'))
})
