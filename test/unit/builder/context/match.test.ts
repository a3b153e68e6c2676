import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compileNameMatch, hasWildcard } from '../../../../src/builder/context/match.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'

/** pattern, name, matches; undefined for a malformed pattern. Go's own table for filepath.Match, in its spirit. */
const CASES: readonly (readonly [pattern: string, name: string, matches: boolean | undefined])[] = [
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*', '.abc', true],
  ['*c', 'abc', true],
  ['a*', 'a', true],
  ['a*b*c*d*e*', 'axbxcxdxe', true],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[e-g]', 'abc', false],
  ['ab[^c]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a[^a]b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['[a-ζ]*', 'α', true],
  ['*[a-ζ]', 'A', false],
  ['[\\]a]', ']', true],
  ['[\\-]', '-', true],
  ['[x\\-]', 'z', false],
  ['[!a]', '!', true],
  ['**', 'abc', true],
  ['[]a]', ']', undefined],
  ['[-]', '-', undefined],
  ['[x-]', 'x', undefined],
  ['[a-b-c]', 'a', undefined],
  ['[', 'a', undefined],
  ['[^', 'a', undefined],
  ['a[', 'ab', undefined],
  ['\\', 'a', undefined],
]

describe('compileNameMatch()', () => {
  for (const [pattern, name, matches] of CASES) {
    const verb =
      matches === undefined ? 'is malformed' : matches ? `matches "${name}"` : `does not match "${name}"`
    it(`semantics 37: "${pattern}" ${verb}`, () => {
      const match = () => compileNameMatch(byteStringOf(pattern))(byteStringOf(name))
      if (matches === undefined) assert.throws(match, { code: 'dockerfile-invalid' })
      else assert.equal(match(), matches)
    })
  }
})

describe('hasWildcard()', () => {
  it('sees what is not escaped', () => {
    assert.deepEqual(['a*', 'a?', '[a]', 'a]', 'a\\*', '\\\\*', '\\'].map(hasWildcard), [
      true,
      true,
      true,
      false,
      false,
      true,
      false,
    ])
  })
})
