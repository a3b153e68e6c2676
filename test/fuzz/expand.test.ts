// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the shell's syntax, meant as text
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { expandWord } from '../../src/builder/dockerfile/expand.ts'
import { BuildError } from '../../src/builder/errors.ts'
import { createRandom, type Random, rounds, SEED_NOTE } from './support/random.ts'
import { createWatch } from './support/watch.ts'

const LETTERS = ['a', 'b', 'c', '.', '/', '-']
const NAMES = ['v', 'w', 'empty', 'unset'] as const

interface Case {
  readonly env: ReadonlyMap<string, string>
  readonly word: string
}

/** A pattern that matches something: shells differ in what they make of a match of nothing. */
function pattern(random: Random): string {
  return `${random.text(['*', '?', ...LETTERS.slice(0, 4)], 3)}${random.pick(['a', 'b', 'c', '?'])}${random.text(['*', '?', 'a'], 2)}`
}

function word(random: Random, hasReplacement: boolean, depth: number): string {
  const name = random.pick(NAMES)
  const inner = (): string =>
    depth > 0 && random.below(3) === 0
      ? word(random, hasReplacement, depth - 1)
      : random.text(LETTERS.slice(0, 4), 4)
  const operator = random.pick([
    '',
    ':-',
    '-',
    ':+',
    '+',
    '#',
    '##',
    '%',
    '%%',
    ...(hasReplacement ? ['/', '//'] : []),
  ])
  if (operator === '') return `\${${name}}`
  if (operator.startsWith('/'))
    return `\${${name}${operator}${pattern(random)}/${random.text(LETTERS.slice(0, 4), 3)}}`
  return `\${${name}${operator}${'#%'.includes(operator.charAt(0)) ? pattern(random) : inner()}}`
}

function cases(random: Random, hasReplacement: boolean): readonly Case[] {
  return Array.from({ length: rounds(3000) }, () => ({
    env: new Map([
      ['v', `a${random.text(LETTERS, 10)}`],
      ['w', random.text(['a', 'b', 'ab'], 12)],
      ['empty', ''],
    ]),
    word: Array.from({ length: 1 + random.below(2) }, () => word(random, hasReplacement, 2)).join('x'),
  }))
}

/** What the shell makes of each word, all in one process. */
function ask(shell: string, all: readonly Case[]): readonly string[] {
  const script = all.map(
    ({ env, word }) =>
      `${[...env].map(([name, value]) => `${name}='${value}'`).join(' ')}\nprintf '%s\\n' "${word}"`,
  )
  const { stdout, stderr } = spawnSync(shell, { input: script.join('\n'), encoding: 'utf8', env: {} })
  assert.equal(stderr, '')
  return stdout.split('\n').slice(0, -1)
}

for (const [shell, hasReplacement] of [
  ['/bin/sh', false],
  ['/bin/bash', true],
] as const)
  test(`expandWord() makes of words what ${shell} makes of them`, t => {
    t.diagnostic(SEED_NOTE)
    const all = cases(createRandom(hasReplacement ? 12 : 11), hasReplacement)
    const answers = ask(shell, all)
    assert.equal(answers.length, all.length)
    for (const [index, { env, word }] of all.entries()) {
      const { value } = expandWord(word, env, { escape: '\\' })
      assert.equal(value, answers[index], `${word} with ${JSON.stringify([...env])}`)
    }
  })

/** What is hostile must be refused, or be done soon: the watch ends the process otherwise. */
const HOSTILE: readonly (readonly [name: string, word: string, value: string])[] = [
  ['10,000 levels of defaults', `${'${u:-'.repeat(10_000)}x${'}'.repeat(10_000)}`, ''],
  ['10,000 levels without an end', '${u:-'.repeat(10_000), ''],
  ['levels of patterns', `${'${v#'.repeat(150)}a${'}'.repeat(150)}`, 'a'.repeat(1000)],
  ['a replacement that grows', `\${v//a/${'b'.repeat(60_000)}}`, 'a'.repeat(60_000)],
  ['replacements of replacements', `\${v//a/${'${v//a/b}'.repeat(500)}}`, 'a'.repeat(2000)],
  ['many stars', `\${v//${'a*'.repeat(500)}b/x}`, 'a'.repeat(60_000)],
  ['many stars at the start', `\${v##${'*a'.repeat(1000)}b}`, 'a'.repeat(4000)],
  ['many stars at the end', `\${v%%b${'a*'.repeat(1000)}}`, 'a'.repeat(4000)],
  ['questions and stars', `\${v//${'?*'.repeat(1000)}b/x}`, 'a'.repeat(4000)],
  ['a thousand searches', `\${v//${'a*'.repeat(100)}b/x}`.repeat(1000), 'a'.repeat(4000)],
  ['many variables', '$v'.repeat(30_000), 'a'.repeat(60_000)],
  ['many quotes', `"${'$v'.repeat(30_000)}"`, 'a'.repeat(60_000)],
]

for (const [name, word, value] of HOSTILE)
  test(`expandWord() is done soon with ${name}`, () => {
    using watch = createWatch()
    watch.run(word, () => {
      try {
        assert.ok(expandWord(word, new Map([['v', value]]), { escape: '\\' }).value.length <= 1024 * 1024)
      } catch (error) {
        if (!(error instanceof BuildError)) throw error
        assert.equal(error.code, 'dockerfile-invalid')
        assert.ok(error.message.length < 500, 'the message is bounded')
      }
    })
  })
