import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseExcludes, parseIgnoreFile } from '../../../../src/builder/context/ignore.ts'
import { byteStringFrom, byteStringOf } from '../../../../src/oci/byte-string.ts'

const rules = (...lines: string[]) => parseIgnoreFile(lines.join('\n'), '.dockerignore')
const isIgnored = (lines: readonly string[], path: string) => rules(...lines).isIgnored(byteStringOf(path))

/** pattern, path, matches */
const SINGLE: readonly (readonly [pattern: string, path: string, ignored: boolean])[] = [
  ['node_modules', 'node_modules', true],
  ['node_modules', 'node_modules/x/y', true],
  ['node_modules', 'a/node_modules', false],
  ['*.md', 'README.md', true],
  ['*.md', 'docs/README.md', false],
  ['*/*.md', 'docs/README.md', true],
  ['*', 'a/b/c', true],
  ['*', '.hidden', true],
  ['/a', 'a', true],
  ['a/', 'a', true],
  ['/', 'a', false],
  ['.', 'a', false],
  ['./a/../b', 'b', true],
  ['  a  ', 'a', true],
  ['../a', 'a', false],
  ['A', 'a', false],
  ['**', 'a', true],
  ['**', 'a/b', true],
  ['**/', 'a', true],
  ['**/**', 'dir/file', true],
  ['**/a', 'a', true],
  ['**/a', 'b/c/a', true],
  ['**/a', 'ba', false],
  ['**/a/b', 'x/a/b', true],
  ['**/*.txt', 'file.txt', true],
  ['**/*.txt', 'a/b/file.txt', true],
  ['**/**/*.txt', 'dir/dir/file.txt', true],
  ['**file', 'file', true],
  ['**file', 'dir/myfile', true],
  ['**file', 'dir/file/below', true],
  ['**f*', 'dir/f1', true],
  ['**f*', 'dir/xf1', false],
  ['a**/*.txt', 'a/file.txt', true],
  ['a**/*.txt', 'a/dir/file.txt', true],
  ['a**/*.txt', 'abc.txt', true],
  ['a/**', 'a', false],
  ['a/**', 'a/b', true],
  ['a/**', 'a/b/c', true],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a/*/b', 'a/x/y/b', false],
  ['a/**/', 'a/x', true],
  ['a?c', 'abc', true],
  ['a?c', 'aéc', true],
  ['a?c', 'a/c', false],
  ['a[b-d]e', 'ace', true],
  ['a[^b-d]e', 'ace', false],
  ['a[^b-d]e', 'aze', true],
  ['a[!b]c', 'a!c', true],
  ['a[!b]c', 'axc', false],
  ['a[é-ü]c', 'aöc', true],
  ['a\\*c', 'a*c', true],
  ['a\\*c', 'abc', false],
  ['a\\[b]', 'a[b]', true],
  ['a.c', 'abc', false],
  ['a+(b)|{c}$^', 'a+(b)|{c}$^', true],
  ['{a,b}', 'a', false],
  ['a b', 'a b', true],
  [' #a', '#a', true],
  ['#a', '#a', false],
  ['*a*b*c*', 'xxaxxbxxcxx', true],
  ['a*', 'a', true],
  ['abc.def', 'abcdef', false],
  ['abc]', 'abc]', true],
]

/** patterns, path, ignored */
const SEVERAL: readonly (readonly [patterns: readonly string[], path: string, ignored: boolean])[] = [
  [['*', '!a'], 'a', false],
  [['*', '!a'], 'b', true],
  [['*', '!a'], 'a/b', false],
  [['dir', '!dir/keep'], 'dir/keep', false],
  [['dir', '!dir/keep'], 'dir/other', true],
  [['dir', '!dir/keep'], 'dir/keep/below', false],
  [['!a', 'a'], 'a', true],
  [['!a', '!b'], 'a', false],
  [['*.md', '!README*.md', 'README-secret.md'], 'README-secret.md', true],
  [['*.md', '!README*.md', 'README-secret.md'], 'README-x.md', false],
  // A rule that would change nothing where it stands is not asked, and so nothing below inherits from it.
  [['a', '!a/b', 'a'], 'a/b', false],
  [['**/x', '!d'], 'd/x', true],
  [['d', '!d', '**/x'], 'd/x', true],
  [['**/x', '!**/x', 'd'], 'd/x', true],
  [['**', '!**/*.go'], 'x/y/z.go', false],
  [['**', '! a '], 'a', false],
  [['!/a/', 'b'], 'a', false],
  [['a/b/c', '!a/b'], 'a/b/c', true],
  [['\ufeffa'], 'a', true],
  [['a\r', 'b\r'], 'a', true],
  [['', '   ', 'a'], 'a', true],
]

describe('parseIgnoreFile()', () => {
  for (const [pattern, path, ignored] of SINGLE) {
    it(`semantics 57: "${pattern}" ${ignored ? 'ignores' : 'does not ignore'} "${path}"`, () => {
      assert.equal(isIgnored([pattern], path), ignored)
    })
  }

  for (const [patterns, path, ignored] of SEVERAL) {
    it(`semantics 57: ${JSON.stringify(patterns)} ${ignored ? 'ignore' : 'do not ignore'} "${path}"`, () => {
      assert.equal(isIgnored(patterns, path), ignored)
    })
  }

  it('never ignores the root', () => {
    assert.equal(isIgnored(['**', '*', '.', '/'], ''), false)
  })

  it('matches names that are not UTF-8 byte for byte', () => {
    const path = byteStringFrom(Buffer.from([0x61, 0xff, 0xfe]))
    assert.equal(rules('a??').isIgnored(path), true)
    assert.equal(rules('a\ufffd\ufffd').isIgnored(path), false)
  })

  for (const pattern of ['[', 'a[', '[]a]', '[a-]', '[-a]', '[a-b-c]', '\\', '[a\\', '!', '! ']) {
    it(`refuses the pattern ${JSON.stringify(pattern)} with its line`, () => {
      assert.throws(() => rules('ok', pattern), {
        code: 'context-invalid',
        message: /\.dockerignore: line 2:/,
      })
    })
  }

  it('takes time in proportion to the lengths, whatever the pattern', () => {
    const path = byteStringOf('a'.repeat(4000))
    for (const pattern of [
      `${'*a'.repeat(200)}b`,
      `${'**/a'.repeat(200)}b`,
      `${'a*'.repeat(500)}[^a]`,
      '?'.repeat(4001),
    ])
      assert.equal(rules(pattern).isIgnored(path), false)
  })

  it('refuses more patterns than any file needs', () => {
    assert.throws(() => parseIgnoreFile('a\n'.repeat(10_001), 'x'), { code: 'context-invalid' })
  })

  it('agrees with a plain reading of random patterns', () => {
    let seed = 7
    const random = (limit: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648
      return Math.floor((seed / 2147483648) * limit)
    }
    const pick = (parts: readonly string[]) => parts[random(parts.length)] ?? ''
    for (let round = 0; round < 3000; round++) {
      const pattern = Array.from({ length: 1 + random(6) }, () =>
        pick(['a', 'b', '/', '*', '?', '[ab]', 'a/']),
      )
        .join('')
        .replace(/\*\*+/g, '*')
        .replace(/\/+/g, '/')
        .replace(/^\/|\/$/g, '')
      const path = Array.from({ length: 1 + random(5) }, () => pick(['a', 'b', 'ab', 'a/b'])).join(
        pick(['', '/']),
      )
      if (pattern === '') continue
      const regex = pattern.replace(/[*?]/g, star => (star === '*' ? '[^/]*' : '[^/]'))
      const expected = new RegExp(`^${regex}(/.*)?$`).test(path)
      assert.equal(isIgnored([pattern], path), expected, `${pattern} on ${path}`)
    }
  })
})

describe('isIgnored()', () => {
  it('answers alike in whatever order it is asked', () => {
    const paths = ['d', 'd/x', 'd/e', 'd/e/x', 'd-e', 'e/x', 'x'].map(byteStringOf)
    const patterns = ['*', '!d', '**/x', '!d/e/x', '!e']
    const expected = paths.map(path => rules(...patterns).isIgnored(path))
    const asked = rules(...patterns)
    for (const order of [paths, paths.toReversed(), paths.toSorted(() => -1)])
      for (const path of order) assert.equal(asked.isIgnored(path), expected[paths.indexOf(path)], path)
  })
})

describe('mayIncludeBelow()', () => {
  const cases: readonly (readonly [patterns: readonly string[], directory: string, walked: boolean])[] = [
    [['node_modules'], 'node_modules', false],
    [['dir', '!dir/keep'], 'dir', true],
    [['dir', '!dir/keep/x'], 'dir/keep', true],
    [['dir', '!dir/keep'], 'dir/other', false],
    [['dir', '!other'], 'dir', false],
    [['*', '!**/*.go'], 'a', true],
    [['!a/b', 'a'], 'a', false],
    [['a', '!a/*'], 'a', true],
    [['a', '!*'], 'a/b', false],
    [['ab', '!a*'], 'abc/d', false],
  ]
  for (const [patterns, directory, walked] of cases) {
    it(`${walked ? 'has' : 'spares'} a walk of "${directory}" for ${JSON.stringify(patterns)}`, () => {
      const parsed = rules(...patterns)
      assert.equal(
        parsed.isIgnored(byteStringOf(directory)) && parsed.mayIncludeBelow(byteStringOf(directory)),
        walked,
      )
    })
  }
})

describe('parseExcludes()', () => {
  const span = { source: { name: 'Dockerfile', text: '' }, startLine: 3, endLine: 3 }

  it('semantics 48: reads patterns as lines of an ignore file, but knows no comments and no absolute paths', () => {
    const excludes = parseExcludes(['#a', ' b/ ', '', 'c', '!c/d', '/e', '!/b'], span)
    const ignored = ['#a', 'b', 'b/x', 'c', 'c/d', 'a', 'e'].filter(path =>
      excludes.isIgnored(byteStringOf(path)),
    )
    assert.deepEqual(ignored, ['#a', 'b', 'b/x', 'c'])
  })

  it('refuses a malformed pattern at its place', () => {
    for (const pattern of ['[', 'a\\', '!'])
      assert.throws(() => parseExcludes([pattern], span), { code: 'dockerfile-invalid', span })
  })
})
