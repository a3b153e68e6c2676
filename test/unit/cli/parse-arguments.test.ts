import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Arguments } from '../../../src/cli/arguments.ts'
import type { Command } from '../../../src/cli/command.ts'
import { CliError } from '../../../src/cli/errors.ts'
import { parseArguments } from '../../../src/cli/parse-arguments.ts'

const COMMAND: Command = {
  name: 'bake',
  summary: 'Bake',
  usage: '[OPTIONS] PATH',
  options: {
    tag: { value: 'NAME', short: 't', repeated: true, help: 'Name' },
    file: { value: 'FILE', short: 'f', help: 'File' },
    quiet: { short: 'q', help: 'Quiet' },
    'no-cache': { help: 'No cache' },
  },
  refused: { push: 'use bake and then push' },
  positionals: { min: 1, max: 1 },
  run: async () => undefined,
}

function parse(...argv: string[]): Arguments {
  return parseArguments(COMMAND, argv)
}

describe('parseArguments()', () => {
  const same: readonly (readonly [string, readonly string[]])[] = [
    ['a long option and its value', ['--tag', 'app:1', '.']],
    ['a long option with =', ['--tag=app:1', '.']],
    ['a short option and its value', ['-t', 'app:1', '.']],
    ['a short option with its value attached', ['-tapp:1', '.']],
    ['a short option with =', ['-t=app:1', '.']],
    ['options after the argument', ['.', '--tag', 'app:1']],
    ['-- before the argument', ['-t', 'app:1', '--', '.']],
  ]
  for (const [name, argv] of same) {
    it(`reads ${name}`, () => {
      const args = parse(...argv)
      assert.deepEqual(args.values('tag'), ['app:1'])
      assert.deepEqual(args.positionals, ['.'])
    })
  }

  it('keeps all values of a repeatable option in order', () => {
    assert.deepEqual(parse('-t', 'a', '.', '--tag=b').values('tag'), ['a', 'b'])
  })

  it('takes the last value of an option that is not repeatable, as Docker does', () => {
    assert.equal(parse('-f', 'a', '-f', 'b', '.').value('file'), 'b')
  })

  it('keeps equals signs and blanks in values', () => {
    assert.equal(parse('--file=a=b c', '.').value('file'), 'a=b c')
    assert.equal(parse('-f', '=x', '.').value('file'), 'x')
  })

  it('counts an empty value as none', () => {
    assert.equal(parse('--file=', '.').value('file'), undefined)
    assert.equal(parse('--file', '', '.').value('file'), undefined)
  })

  it('reads flags, also grouped, and as true and false', () => {
    assert.equal(parse('-q', '.').flag('quiet'), true)
    assert.equal(parse('.').flag('quiet'), false)
    assert.equal(parse('--no-cache=true', '.').flag('no-cache'), true)
    assert.equal(parse('--no-cache', '--no-cache=false', '.').flag('no-cache'), false)
    const grouped = parse('-qt', 'app', '.')
    assert.equal(grouped.flag('quiet'), true)
    assert.equal(grouped.value('tag'), 'app')
  })

  it('takes everything after -- as arguments, and - as an argument', () => {
    assert.deepEqual(parse('--', '--tag').positionals, ['--tag'])
    assert.deepEqual(parse('-').positionals, ['-'])
  })

  it('asks for no argument when help is wanted', () => {
    assert.equal(parse('--help').flag('help'), true)
    assert.equal(parse('-h').flag('help'), true)
  })

  const wrong: readonly (readonly [string, readonly string[], string])[] = [
    ['a misspelt option', ['--no-cach', '.'], 'bake: unknown option --no-cach (did you mean --no-cache?)'],
    ['an option like nothing', ['--zzzzzzzz', '.'], 'bake: unknown option --zzzzzzzz'],
    ["a name of Object's own", ['--constructor', '.'], 'bake: unknown option --constructor'],
    ['an unknown letter', ['-z', '.'], 'bake: unknown option -z'],
    ['an option of other tools', ['--push', '.'], 'bake: --push is not supported: use bake and then push'],
    ['a missing value', ['.', '--tag'], 'bake: --tag needs a value: --tag NAME'],
    ['a missing value of a letter', ['.', '-t'], 'bake: -t needs a value: -t NAME'],
    [
      'a flag with a value',
      ['--quiet=maybe', '.'],
      'bake: --quiet is a flag: it takes true or false, not "maybe"',
    ],
    ['too few arguments', [], 'bake: an argument is missing; usage: slipway bake [OPTIONS] PATH'],
    ['too many', ['a', 'b'], 'bake: "b" is one argument too many; usage: slipway bake [OPTIONS] PATH'],
  ]
  for (const [name, argv, message] of wrong) {
    it(`refuses ${name} and says what to do`, () => {
      assert.throws(
        () => parse(...argv),
        (error: unknown) => {
          assert.ok(error instanceof CliError)
          assert.equal(error.code, 'usage')
          assert.equal(error.message, message)
          assert.equal(error.hint, "see 'slipway bake --help'")
          return true
        },
      )
    })
  }
})

describe('parseArguments() of a command with two arguments', () => {
  const command: Command = { ...COMMAND, usage: 'FROM TO', positionals: { min: 2, max: 2 } }
  it('counts those that are missing', () => {
    const missing = (count: string) => ({ message: `bake: ${count} missing; usage: slipway bake FROM TO` })
    assert.throws(() => parseArguments(command, []), missing('2 arguments are'))
    assert.throws(() => parseArguments(command, ['a']), missing('an argument is'))
  })
})
