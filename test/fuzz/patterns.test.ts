import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIgnoreFile } from '../../src/builder/context/ignore.ts'
import { compilePattern } from '../../src/builder/context/pattern.ts'
import { BuildError } from '../../src/builder/errors.ts'
import { byteStringOf } from '../../src/oci/byte-string.ts'
import { createRandom, rounds, SEED_NOTE } from './support/random.ts'
import { createWatch } from './support/watch.ts'

/** `filepath.Match` for one name, by trying everything. */
function matchesName(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  const [first = ''] = pattern
  const rest = pattern.slice(1)
  if (first === '*') return matchesName(rest, name) || (name !== '' && matchesName(pattern, name.slice(1)))
  if (name === '') return false
  if (first === '?') return matchesName(rest, name.slice(1))
  const [whole, negated, set] = /^\[(\^?)([a-c]+)\]/.exec(pattern) ?? []
  if (whole !== undefined)
    return (
      set?.includes(name.charAt(0)) !== (negated === '^') &&
      matchesName(pattern.slice(whole.length), name.slice(1))
    )
  return first === name[0] && matchesName(rest, name.slice(1))
}

test('compilePattern() matches the names that trying everything matches', t => {
  t.diagnostic(SEED_NOTE)
  const random = createRandom(21)
  for (let round = 0; round < rounds(20_000); round++) {
    const pattern = random.text(['a', 'b', '*', '?', '[ab]', '[^a]', '.'], 6)
    const name = random.text(['a', 'b', 'c', '.'], 6)
    const compiled = compilePattern(byteStringOf(pattern), 'segment')
    assert.equal(compiled?.test(byteStringOf(name)), matchesName(pattern, name), `${pattern} on ${name}`)
  }
})

/** Patterns of ignore files as expressions: `**` and the `/` after it are any number of directories. */
function ignoreExpression(pattern: string): (path: string) => boolean {
  const suffix = /^\*\*([^*?[]+)$/.exec(pattern)?.[1]
  if (suffix !== undefined && suffix !== '/')
    return path => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1))
  const source = pattern.replace(/\*\*\/?$|\*\*\/?|\*|\?|\./g, (token, at: number) => {
    if (token === '.') return '\\.'
    if (token === '?') return '[^/]'
    if (token === '*') return '[^/]*'
    return at + token.length === pattern.length ? '.*' : '(?:.*/)?'
  })
  const expression = new RegExp(`^${source}$`)
  return path => expression.test(path)
}

test('compilePattern() matches the paths that the expression of an ignore pattern matches', () => {
  const random = createRandom(22)
  for (let round = 0; round < rounds(20_000); round++) {
    const pattern = random.text(['a', 'b', '/', '*', '?', '**', '**/', '/**', '.'], 6).replaceAll(/\/+/g, '/')
    if (/\*\*\*/.test(pattern)) continue
    const path = random.text(['a', 'b', '/', '.'], 8).replaceAll(/\/+/g, '/')
    const compiled = compilePattern(byteStringOf(pattern), 'ignore')
    const expected = ignoreExpression(pattern)(path)
    assert.equal(compiled?.test(byteStringOf(path)), expected, `${pattern} on ${path}`)
    // What is not looked into cannot match below.
    const slash = path.indexOf('/', 1)
    if (expected && slash > 0 && slash < path.length - 1)
      assert.ok(compiled?.mayMatchBelow(byteStringOf(path.slice(0, slash))), `${pattern} below ${path}`)
  }
})

test('parseIgnoreFile() survives any text, and asks its rules of any path', () => {
  using watch = createWatch()
  const random = createRandom(23)
  const pieces = [
    'a',
    '/',
    '*',
    '**',
    '!',
    '#',
    '\n',
    '\r\n',
    '[',
    ']',
    '[a-',
    '^',
    '\\',
    ' ',
    '.',
    '..',
    '\0',
    '\ufeff',
    '한',
  ]
  for (let round = 0; round < rounds(4000); round++) {
    const text = random.text(pieces, 16)
    const path = byteStringOf(random.text(['a', '/', '.', '한', '\n'], 6))
    watch.run(text, () => {
      try {
        const rules = parseIgnoreFile(text, '.dockerignore')
        rules.isIgnored(path)
        rules.mayIncludeBelow(path)
      } catch (error) {
        if (!(error instanceof BuildError)) throw error
        assert.equal(error.code, 'context-invalid')
      }
    })
  }
})

for (const pattern of [
  '**/'.repeat(100) + 'a*b*c*'.repeat(50),
  '*a'.repeat(400),
  '[ab]*'.repeat(400),
  '?*'.repeat(400),
])
  test(`a pattern of ${pattern.slice(0, 6)} again and again is no burden`, () => {
    using watch = createWatch()
    const path = byteStringOf(`${'a/'.repeat(400)}${'ab'.repeat(400)}`)
    watch.run(pattern, () => {
      const rules = parseIgnoreFile(`${pattern}\n!${pattern}x`, '.dockerignore')
      rules.isIgnored(path)
      assert.equal(
        compilePattern(byteStringOf(`${pattern}Z`), 'segment')?.test(byteStringOf('a'.repeat(1000))),
        false,
      )
    })
  })
