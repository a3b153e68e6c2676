// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the shell's syntax, meant as text
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expandBody, expandWord, expandWords } from '../../../../src/builder/dockerfile/expand.ts'
import { failureOf } from './parsing.ts'

const ENV = new Map(
  Object.entries({
    V: 'value',
    EMPTY: '',
    SPACED: ' a  b ',
    PATH: '/usr/local/bin',
    FILE: 'dir/sub/name.tar.gz',
    STARS: 'a*b?c',
    LINES: 'one\ntwo',
    DOLLAR: '$V',
    QUOTE: '"',
    KR: '한국어',
    한: 'han',
  }),
)

const WORDS: readonly (readonly [word: string, expected: string])[] = [
  ['plain', 'plain'],
  ['', ''],
  // semantics 9: names
  ['$V', 'value'],
  ['${V}', 'value'],
  ['a${V}b$V.c', 'avalueb' + 'value.c'],
  ['$Vx', ''],
  ['${V}x', 'valuex'],
  ['$한', 'han'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$.a', '$.a'],
  ['$1$23x$@$*$#$?$-$!$$$0', 'x'],
  // semantics 9: modifiers
  ['${V:-w}', 'value'],
  ['${EMPTY:-w}', 'w'],
  ['${UNSET:-w}', 'w'],
  ['${V-w}', 'value'],
  ['${EMPTY-w}', ''],
  ['${UNSET-w}', 'w'],
  ['${V:+w}', 'w'],
  ['${EMPTY:+w}', ''],
  ['${UNSET:+w}', ''],
  ['${V+w}', 'w'],
  ['${EMPTY+w}', 'w'],
  ['${UNSET+w}', ''],
  ['${V:?w}', 'value'],
  ['${V?w}', 'value'],
  ['${EMPTY?w}', ''],
  ['${UNSET:-}', ''],
  ['${UNSET:-${EMPTY:-$V}}', 'value'],
  ['${UNSET:-"a } b"}', 'a } b'],
  ["${UNSET:-'$V'}", '$V'],
  ['${UNSET:-a\\}b}', 'a}b'],
  ['${FILE#*/}', 'sub/name.tar.gz'],
  ['${FILE##*/}', 'name.tar.gz'],
  ['${FILE%.*}', 'dir/sub/name.tar'],
  ['${FILE%%.*}', 'dir/sub/name'],
  ['${FILE%%x*}', 'dir/sub/name.tar.gz'],
  ['${FILE#dir}', '/sub/name.tar.gz'],
  ['${FILE#?i?}', '/sub/name.tar.gz'],
  ['${FILE%.${UNSET:-gz}}', 'dir/sub/name.tar'],
  ['${STARS#a\\*}', 'b?c'],
  ['${STARS%\\?c}', 'a*b'],
  ['${STARS%%\\**}', 'a'],
  ['${LINES#*}', 'one\ntwo'],
  ['${LINES##*}', '\ntwo'],
  ['${KR%?}', '한국'],
  ['${UNSET#*}', ''],
  ['${FILE/a/A}', 'dir/sub/nAme.tar.gz'],
  ['${FILE//a/A}', 'dir/sub/nAme.tAr.gz'],
  ['${FILE//\\//-}', 'dir-sub-name.tar.gz'],
  ['${FILE/.*/}', 'dir/sub/name'],
  ['${FILE//[a-z]/x}', 'dir/sub/name.tar.gz'],
  ['${V//?/x}', 'xxxxx'],
  ['${V//*/x}', 'x'],
  ['${LINES//*/x}', 'x\nx'],
  ['${V///x}', 'xvxaxlxuxex'],
  ['${V/z/x}', 'value'],
  ['${V/a/$EMPTY$KR}', 'v한국어lue'],
  ['${UNSET/a/b}', ''],
  // semantics 11
  ['\\$V', '$V'],
  ["'$V'", '$V'],
  ["'a\\'", 'a\\'],
  ['"$V"', 'value'],
  ['"\\$V \\" \\\\ \\n \\\'"', '$V " \\ \\n \\\''],
  ['"a\'b"', "a'b"],
  ['a\\b\\ c', 'ab c'],
  ['a\\', 'a'],
  ['$DOLLAR$QUOTE', '$V"'],
  ['"$SPACED"', ' a  b '],
  ['a "b  c"', 'a b  c'],
]

for (const [word, expected] of WORDS)
  test(`semantics 9, 11: expandWord(${JSON.stringify(word)})`, () =>
    assert.equal(expandWord(word, ENV, { escape: '\\' }).value, expected))

const REFUSED: readonly (readonly [word: string, message: RegExp])[] = [
  ['${V', /"}" is missing/],
  ['${', /"}" is missing/],
  ['${V:', /"}" is missing/],
  ['${V:-a', /"}" is missing/],
  ['${V/a', /"\/" is missing/],
  ['${V/a/b', /"}" is missing/],
  ['${}', /bad substitution/],
  ['${:-a}', /bad substitution/],
  ['${{V}}', /bad substitution/],
  ['${V:=a}', /modifier ":=" is not supported/],
  ['${V=a}', /modifier "=" is not supported/],
  ['${V^^}', /modifier "\^" is not supported/],
  ['${V[0]}', /modifier "\[" is not supported/],
  ['${UNSET?}', /UNSET: it is not set/],
  ['${UNSET:?say $V}', /UNSET: say value/],
  ['${EMPTY:?}', /EMPTY: it is empty/],
  ['${V#\\a}', /escapes "a"/],
  ["'a", /' is missing/],
  ['"a', /" is missing/],
  ['"${V"', /" is missing|modifier/],
]

for (const [word, message] of REFUSED)
  test(`semantics 9: expandWord(${JSON.stringify(word)}) is refused`, () =>
    assert.match(failureOf(() => expandWord(word, ENV, { escape: '\\' })).message, message))

test('semantics 10: what is unset is empty, and told', () => {
  const { value, unset } = expandWord('$A${B}$V${A}${C:-x}${D+x}', ENV, { escape: '\\' })
  assert.equal(value, 'valuex')
  assert.deepEqual(unset, ['A', 'B', 'C', 'D'])
})

test('semantics 11: the escape may be a backtick', () => {
  assert.equal(expandWord('`$V \\$V "`$"', ENV, { escape: '`' }).value, '$V \\value $')
})

const SPLIT: readonly (readonly [word: string, words: readonly string[]])[] = [
  ['80', ['80']],
  ['$SPACED', ['a', 'b']],
  ['x${SPACED}y', ['x', 'a', 'b', 'y']],
  ['"$SPACED"', [' a  b ']],
  ['$EMPTY', []],
  ['""', []],
  ['a\\ b c', ['a b', 'c']],
]

for (const [word, words] of SPLIT)
  test(`semantics 12: expandWords(${JSON.stringify(word)}) splits`, () =>
    assert.deepEqual(expandWords(word, ENV, { escape: '\\' }).words, words))

test('semantics 13: the content of a heredoc keeps its quotes', () => {
  const { value, unset } = expandBody('"$V" \'${V}\' \\$V $NOT\n', ENV)
  assert.equal(value, '"value" \'value\' $V \n')
  assert.deepEqual(unset, ['NOT'])
})

test('expandWord() stops definitions that blow each other up', () => {
  let text = 'x'.repeat(1000)
  const error = failureOf(() => {
    for (let round = 0; round < 64; round++)
      text = expandWord('$a$a', new Map([['a', text]]), { escape: '\\' }).value
  })
  assert.match(error.message, /becomes longer than/)
})

test('expandWord() stops replacements that blow the value up', () => {
  const env = new Map([['a', 'x'.repeat(100_000)]])
  assert.match(
    failureOf(() => expandWord('${a//x/$a}', env, { escape: '\\' })).message,
    /becomes longer than/,
  )
})

test('expandWord() refuses to nest without end', () => {
  assert.match(failureOf(() => expandWord('${a:-'.repeat(10_000), ENV, { escape: '\\' })).message, /nested/)
})

test('expandWord() takes no exponential time for patterns', () => {
  const env = new Map([['a', 'a'.repeat(2000)]])
  const pattern = `${'*a'.repeat(200)}b`
  for (const word of [`\${a#${pattern}}`, `\${a%%b${pattern}}`, `\${a//${pattern}/x}`])
    assert.equal(expandWord(word, env, { escape: '\\' }).value, env.get('a'))
})

test('expandWord() refuses a pattern and a value whose product is out of bounds', () => {
  const env = new Map([['a', 'a'.repeat(500_000)]])
  assert.match(
    failureOf(() => expandWord(`\${a#${'*a'.repeat(1000)}}`, env, { escape: '\\' })).message,
    /too long/,
  )
})

test('expandWord() bounds the patterns of one word together, not each alone', () => {
  const env = new Map([['a', 'a'.repeat(4000)]])
  const one = `\${a//${'a*'.repeat(100)}b/x}`
  assert.equal(expandWord(one, env, { escape: '\\' }).value, env.get('a'))
  assert.match(failureOf(() => expandWord(one.repeat(100), env, { escape: '\\' })).message, /too long/)
})
