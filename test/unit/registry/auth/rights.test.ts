import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RepositoryName } from '../../../../src/oci/reference.ts'
import type { Principal } from '../../../../src/registry/access.ts'
import { createRights, type RightsTable, rightsProblem } from '../../../../src/registry/auth/rights.ts'

const anonymous: Principal = { kind: 'anonymous' }
const user = (name: string): Principal => ({ kind: 'user', name })
const app = 'app' as RepositoryName

describe('createRights()', () => {
  it('lets every user do everything, and nobody else anything, where nothing is said', () => {
    const rights = createRights({ groups: {} })
    for (const action of ['pull', 'push', 'delete'] as const) {
      assert.equal(rights.may(user('anna'), action, app), true)
      assert.equal(rights.may(anonymous, action, app), false)
    }
  })

  it('adds up what all lines give: to everyone, to users, to groups, to one', () => {
    const rights = createRights({
      groups: { developers: ['anna', 'ben'] },
      repositories: {
        '**': { anonymous: ['pull'] },
        'team/**': { '@developers': ['push'], anna: ['delete'] },
        'shared/*': { '*': ['*'] },
      },
    })
    const may = (who: Principal, action: 'pull' | 'push' | 'delete', name: string): boolean =>
      rights.may(who, action, name as RepositoryName)
    assert.equal(may(anonymous, 'pull', 'app'), true)
    assert.equal(may(anonymous, 'push', 'shared/app'), false)
    assert.equal(may(user('carl'), 'push', 'team/app'), false)
    assert.equal(may(user('carl'), 'delete', 'shared/app'), true)
    assert.equal(may(user('ben'), 'push', 'team/app'), true)
    assert.equal(may(user('ben'), 'delete', 'team/app'), false)
    assert.equal(may(user('anna'), 'delete', 'team/app'), true)
    assert.equal(may({ kind: 'robot', name: 'anna' }, 'delete', 'team/app'), false)
  })

  it('includes to pull in to push and to delete', () => {
    const rights = createRights({
      groups: {},
      repositories: { a: { anna: ['push'] }, b: { anna: ['delete'] }, c: { anna: [] } },
    })
    assert.equal(rights.may(user('anna'), 'pull', 'a' as RepositoryName), true)
    assert.equal(rights.may(user('anna'), 'pull', 'b' as RepositoryName), true)
    assert.equal(rights.may(user('anna'), 'push', 'b' as RepositoryName), false)
    assert.equal(rights.may(user('anna'), 'pull', 'c' as RepositoryName), false)
  })

  it('opens what is below the own name, and nothing with a name that is a pattern', () => {
    const variable = '${' + 'user}/**'
    const rights = createRights({ groups: {}, repositories: { [variable]: { '*': ['*'] } } })
    assert.equal(rights.may(user('anna'), 'push', 'anna/app' as RepositoryName), true)
    assert.equal(rights.may(user('anna'), 'pull', 'ben/app' as RepositoryName), false)
    for (const name of ['*', '**', 'a/**', 'Anna'])
      assert.equal(rights.may(user(name), 'pull', 'ben/app' as RepositoryName), false, name)
  })

  it('tells which lines let somebody in', () => {
    const rights = createRights({
      groups: { all: ['anna'] },
      repositories: { '**': { anonymous: ['pull'], '@all': ['push'] } },
    })
    assert.deepEqual(rights.reasons(user('anna'), 'push', app), [
      { pattern: '**', who: '@all', actions: ['push'] },
    ])
    assert.equal(rights.reasons(user('anna'), 'pull', app).length, 2)
  })

  it('keeps the catalog to those that it is for', () => {
    const users = createRights({ groups: {} })
    assert.equal(users.mayListCatalog(anonymous), false)
    assert.equal(users.mayListCatalog(user('anna')), true)
    const everyone = createRights({ groups: {}, catalog: ['anonymous'] })
    assert.equal(everyone.mayListCatalog(anonymous), true)
    const group = createRights({ groups: { a: ['anna'] }, catalog: ['@a'] })
    assert.equal(group.mayListCatalog(user('ben')), false)
  })
})

describe('rightsProblem()', () => {
  const rows: readonly (readonly [what: string, table: RightsTable, problem: RegExp | undefined])[] = [
    ['takes a good table', { groups: { a: ['x'] }, repositories: { 'a/**': { '@a': ['pull'] } } }, undefined],
    ['a pattern that is none', { groups: {}, repositories: { 'A/b': { x: ['pull'] } } }, /lower-case/],
    ['a group that is not there', { groups: {}, repositories: { a: { '@b': ['pull'] } } }, /not a group/],
    ['a group of an object', { groups: {}, repositories: { a: { '@toString': ['pull'] } } }, /not a group/],
    ['an action that is none', { groups: {}, repositories: { a: { b: ['read'] } } }, /"read"/],
    [
      'a home of nobody',
      { groups: {}, repositories: { ['${' + 'user}']: { anonymous: ['pull'] } } },
      /no name/,
    ],
    ['a group of the catalog', { groups: {}, catalog: ['@b'] }, /not a group/],
  ]
  for (const [what, table, problem] of rows)
    it(problem === undefined ? what : `names ${what}`, () => {
      const found = rightsProblem(table)
      if (problem === undefined) assert.equal(found, undefined)
      else assert.match(found?.problem ?? '', problem)
    })
})
