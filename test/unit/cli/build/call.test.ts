import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Arguments } from '../../../../src/cli/arguments.ts'
import { lintError, readCall } from '../../../../src/cli/build/call.ts'
import { describeRule, ruleURL } from '../../../../src/cli/build/lint-rules.ts'

const refuse = (problem: string): Error => new Error(problem)

function call(values: Readonly<Record<string, string>>) {
  return readCall(new Arguments([], new Map(Object.entries(values).map(([k, v]) => [k, [v]]))), refuse)
}

describe('readCall()', () => {
  it('is a build unless something else is asked for', () => {
    assert.equal(call({}), undefined)
    assert.equal(call({ call: 'build' }), undefined)
    assert.equal(call({ check: 'false' }), undefined)
  })

  it('reads the method and the format', () => {
    assert.deepEqual(call({ call: 'outline' }), { method: 'outline', json: false })
    assert.deepEqual(call({ call: 'targets,format=json' }), { method: 'targets', json: true })
    assert.deepEqual(call({ call: 'check,format=text' }), { method: 'check', json: false })
    assert.deepEqual(call({ call: 'lint' }), { method: 'check', json: false })
    assert.deepEqual(call({ check: 'true' }), { method: 'check', json: false })
  })

  const wrong = [
    { call: 'bogus' },
    { call: 'outline,format=xml' },
    { call: 'outline,verbose' },
    { call: 'outline', check: 'true' },
  ]
  for (const values of wrong)
    it(`refuses ${JSON.stringify(values)}`, () => {
      assert.throws(() => call(values), /--call/)
    })
})

it('readCall() says why a frontend is not asked what it can be asked', () => {
  assert.throws(() => call({ call: 'subrequests.describe' }), /built in: build, check/)
})

describe('lintError()', () => {
  const warnings = [{ rule: 'B', text: '' }, { rule: 'A', text: '' }, { rule: 'B', text: '' }, { text: '' }]

  it('names each broken rule once, where check=error=true wants no build', () => {
    assert.deepEqual(lintError({ warnings, failsOnWarnings: true }), {
      message: 'check=error=true, and there are warnings of: B, A',
      location: {},
    })
  })

  it('is none where warnings are allowed, or there are none of a rule', () => {
    assert.equal(lintError({ warnings, failsOnWarnings: false }), undefined)
    assert.equal(lintError({ warnings: [{ text: '' }], failsOnWarnings: true }), undefined)
  })
})

describe('ruleURL()', () => {
  for (const [rule, page] of [
    ['FromAsCasing', 'from-as-casing'],
    ['JSONArgsRecommended', 'json-args-recommended'],
    ['SecretsUsedInArgOrEnv', 'secrets-used-in-arg-or-env'],
  ] as const)
    it(`finds the page of ${rule}`, () => {
      assert.equal(ruleURL(rule), `https://docs.docker.com/go/dockerfile/rule/${page}/`)
      assert.notEqual(describeRule(rule), '')
    })
})
