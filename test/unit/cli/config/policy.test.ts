import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../../../../src/cli/config/config.ts'
import type { CliError } from '../../../../src/cli/errors.ts'
import type { RepositoryName, Tag } from '../../../../src/oci/reference.ts'

const DAY = 86_400_000

async function read(text: string) {
  const { policy } = await parseConfig(text, 'f')
  assert.ok(policy)
  const { rules, retention } = policy
  return {
    retention,
    quotas: rules.quotas,
    isImmutable: (name: string, tag: string) => rules.isImmutable(name as RepositoryName, tag as Tag),
  }
}

describe('policy in the configuration', () => {
  it('keeps everything as it is by default', async () => {
    const { retention, quotas, isImmutable } = await read('')
    assert.deepEqual([retention.rules, quotas, isImmutable('app', 'v1')], [[], [], false])
    assert.equal((await read('retention-every = "off"')).retention.everyMs, undefined)
  })

  it('reads retention rules in their order', async () => {
    const { retention } = await read(`
retention-every = "6h"
[[retention]]
repositories = "team/**"
keep = { newest = 10, pushed-within = "30d", pulled-within = "1d", tags = ["v*", "latest"] }
untagged = "7d"
[[retention]]
repositories = "**"
[retention.keep]
newest = 0
`)
    const [team, all] = retention.rules
    assert.equal(retention.everyMs, 6 * 3_600_000)
    assert.equal(team?.matches('team/a/b'), true)
    assert.equal(team?.matches('team'), false)
    assert.equal(team?.untaggedMs, 7 * DAY)
    const { newest, pushedWithinMs, pulledWithinMs, tags = [] } = team?.keep ?? {}
    assert.deepEqual([newest, pushedWithinMs, pulledWithinMs], [10, 30 * DAY, DAY])
    const isKept = (tag: string): boolean => tags.some(({ matches }) => matches(tag))
    assert.deepEqual(['v1', 'V1', 'latest', 'latest-1'].map(isKept), [true, false, true, false])
    assert.deepEqual(all?.keep, { newest: 0 })
  })

  it('reads immutable tags, of our own repositories only', async () => {
    const { isImmutable } = await read('[[immutable]]\nrepositories = "**"\ntags = ["v*", "R1.*"]')
    assert.equal(isImmutable('team/app', 'v1'), true)
    assert.equal(isImmutable('team/app', 'R1.2'), true)
    assert.equal(isImmutable('team/app', 'latest'), false)
    assert.equal(isImmutable('docker.io/library/debian', 'v1'), false)
    assert.equal(isImmutable('localhost/app', 'v1'), false)
    assert.equal(isImmutable('localhost', 'v1'), true)
  })

  it('reads quotas', async () => {
    const { quotas } = await read(
      '[[quota]]\nprefix = "team/a"\nsize = "1.5g"\n[[quota]]\nprefix = "*"\nsize = "10"',
    )
    assert.deepEqual(quotas, [
      { prefix: 'team/a', limit: 1.5 * 1024 ** 3 },
      { prefix: '*', limit: 10 },
    ])
  })

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [
      'a rule that keeps nothing',
      '[[retention]]\nrepositories = "a"',
      /^f:1: retention must say what to keep/,
    ],
    [
      'a rule with an empty keep',
      '[[retention]]\nrepositories = "a"\nkeep = {}',
      /^f:3: retention\.keep must say what to keep/,
    ],
    ['a rule for nothing', '[[retention]]\nkeep = { newest = 1 }', /^f:1: retention must have repositories/],
    ['a single table', '[retention]\nnewest = 1', /^f:1: retention must be a list/],
    [
      'a bad pattern',
      '[[retention]]\nrepositories = "Team"\nkeep = { newest = 1 }',
      /^f:2: retention\.repositories may hold/,
    ],
    [
      'a bad time',
      '[[retention]]\nrepositories = "a"\nkeep = { pushed-within = "month" }',
      /^f:3: retention\.keep\.pushed-within is "month", want a time/,
    ],
    [
      'a negative count',
      '[[retention]]\nrepositories = "a"\nkeep = { newest = -1 }',
      /^f:3: retention\.keep\.newest must be a whole number from 0/,
    ],
    [
      'an unknown condition',
      '[[retention]]\nrepositories = "a"\nkeep = { newst = 1 }',
      /^f:3: retention\.keep\.newst is not a known key; the nearest is newest/,
    ],
    [
      'a bad tag pattern',
      '[[immutable]]\nrepositories = "a"\ntags = ["v/**"]',
      /^f:3: immutable\.tags has "v\/\*\*"/,
    ],
    ['immutable without tags', '[[immutable]]\nrepositories = "a"', /^f:1: immutable must have tags/],
    ['a quota without a size', '[[quota]]\nprefix = "a"', /^f:1: quota must have a prefix and a size/],
    [
      'a quota of a pattern',
      '[[quota]]\nprefix = "a/**"\nsize = "1g"',
      /^f:2: quota\.prefix is "a\/\*\*", want the beginning/,
    ],
    ['a bad size', '[[quota]]\nprefix = "a"\nsize = "much"', /^f:3: quota\.size is "much", want a size/],
  ]
  for (const [name, text, problem] of wrong) {
    it(`refuses ${name}, with its line`, async () => {
      await assert.rejects(parseConfig(text, 'f'), (error: CliError) => {
        assert.match(error.message.replace('Cannot read configuration ', ''), problem)
        return error.code === 'config-invalid-file'
      })
    })
  }
})

it('names the line in the table of a list that is wrong, not in the first one', async () => {
  const quotas = '[[quota]]\nprefix = "a"\nsize = "1g"\n[[quota]]\nprefix = "b"\nsize = "x"\n'
  await assert.rejects(parseConfig(quotas, 'slipway.toml'), /slipway\.toml:6: quota\.size is "x"/)
  const unknown = '[[immutable]]\nrepositories = "a"\ntags = ["v*"]\n[[immutable]]\ntag = ["v*"]\n'
  await assert.rejects(
    parseConfig(unknown, 'slipway.toml'),
    /slipway\.toml:5: immutable\.tag is not a known key/,
  )
})
