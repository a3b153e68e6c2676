import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSyntax } from '../../../../src/builder/dockerfile/syntax.ts'
import { failureOf } from './parsing.ts'

function originals(text: string): readonly string[] {
  return parseSyntax({ name: 'Dockerfile', text }).nodes.map(node => node.original)
}

const LINES: readonly (readonly [name: string, text: string, originals: readonly string[]])[] = [
  ['semantics 1: blanks may follow the continuation', 'RUN a \\ \t\n b', ['RUN a  b']],
  ['semantics 1: an escaped escape does not continue', 'RUN a \\\\\nRUN b', ['RUN a \\\\', 'RUN b']],
  ['semantics 1: three escapes do not continue either', 'RUN a \\\\\\\nRUN b', ['RUN a \\\\\\', 'RUN b']],
  ['a lone escape continues with what follows', '\\\nRUN z', ['RUN z']],
  ['semantics 2: comments and blank lines inside are dropped', 'RUN a \\\n # c \\\n\n\t\n  b', ['RUN a   b']],
  ['semantics 2: a blank line does not end a continuation', 'RUN a \\\n\nRUN b', ['RUN a RUN b']],
  ['semantics 3: only the first line loses its indentation', '  RUN a\\\n    b', ['RUN a    b']],
  ['the last line may end in a continuation', 'RUN a \\', ['RUN a ']],
  ['a keyword may be continued', 'RU\\\nN a', ['RUN a']],
  ['a number sign inside a line is no comment', 'RUN a # b', ['RUN a # b']],
  ['lines end with CRLF too', 'RUN a \\\r\n  b\r\nRUN c\r\n', ['RUN a   b', 'RUN c']],
  ['a lone carriage return ends nothing', 'RUN a\rRUN b\nRUN c', ['RUN a\rRUN b', 'RUN c']],
  ['a byte order mark is dropped', '\ufeffRUN a', ['RUN a']],
  ['the escape may be a backtick', '# escape=`\nRUN a `\n b\nRUN c\\', ['RUN a  b', 'RUN c\\']],
]

for (const [name, text, expected] of LINES)
  test(`parseSyntax() joins lines: ${name}`, () => assert.deepEqual(originals(text), expected))

const DIRECTIVES: readonly (readonly [name: string, text: string, expected: object])[] = [
  ['none', 'FROM a', { escape: '\\' }],
  [
    'all',
    '#syntax=a/b:1 x\n# Escape = `  \n# check=skip=A;error=true\nFROM a',
    { escape: '`', syntax: 'a/b:1 x', check: 'skip=A;error=true' },
  ],
  ['indented', '  # escape=`\nFROM a', { escape: '`' }],
  ['after a blank line', '\n# escape=`\nFROM a', { escape: '\\' }],
  ['after a comment', '# hi\n# escape=`\nFROM a', { escape: '\\' }],
  ['after an unknown one', '# foo=bar\n# escape=`\nFROM a', { escape: '\\' }],
  ['after an instruction', 'FROM a\n# escape=`', { escape: '\\' }],
]

for (const [name, text, expected] of DIRECTIVES)
  test(`semantics 4: directives: ${name}`, () =>
    assert.deepEqual(parseSyntax({ name: 'Dockerfile', text }).directives, expected))

test('semantics 4: a directive that is set twice is refused at its line', () => {
  const error = failureOf(() => originals('# escape=`\n# escape=`\nFROM a'))
  assert.match(error.message, /directive escape: it is set twice/)
  assert.equal(error.span?.startLine, 2)
})

test('semantics 4: another escape than backslash and backtick is refused', () => {
  assert.match(failureOf(() => originals('# escape=x\nFROM a')).message, /escape to "x"/)
})

const HEREDOCS: readonly (readonly [
  name: string,
  text: string,
  contents: readonly string[],
  after: readonly string[],
])[] = [
  ['one', 'RUN <<E\na\n b\nE\nRUN c', ['a\n b\n'], ['RUN c']],
  ['none without content', 'RUN <<E\nE\nRUN c', [''], ['RUN c']],
  ['several on a line', 'COPY <<A <<B /x\n1\nA\n2\nB\nRUN c', ['1\n', '2\n'], ['RUN c']],
  ['with a file descriptor', 'RUN cat 3<<E\na\nE\nRUN c', ['a\n'], ['RUN c']],
  ['instructions inside are content', 'RUN <<E\nFROM x\nRUN <<F\nE\nRUN c', ['FROM x\nRUN <<F\n'], ['RUN c']],
  [
    'continuations and comments inside are content',
    'RUN <<E\na \\\n# b\nE\nRUN c',
    ['a \\\n# b\n'],
    ['RUN c'],
  ],
  ['the end needs its tabs stripped with <<-', 'RUN <<-E\n\ta\n\t\tE\nRUN c', ['\ta\n'], ['RUN c']],
  ['the end is not stripped without', 'RUN <<E\n\tE\nE\nRUN c', ['\tE\n'], ['RUN c']],
  ['the name may be quoted', 'RUN <<"E F"\nE\nE F\nRUN c', ['E\n'], ['RUN c']],
  ['the content keeps its carriage returns', 'RUN <<E\r\na\r\nE\r\nRUN c', ['a\r\n'], ['RUN c']],
  ['the line may be continued first', 'RUN <<E \\\n cat\na\nE\nRUN c', ['a\n'], ['RUN c']],
  ['under ONBUILD', 'ONBUILD RUN <<E\na\nE\nRUN c', ['a\n'], ['RUN c']],
  ['not in the JSON form', 'RUN ["<<E"]\nRUN c', [], ['RUN c']],
  ['not in quotes', 'RUN echo "<<E" \'<<F\' \\<<G\nRUN c', [], ['RUN c']],
  ['not in CMD', 'CMD <<E\nRUN c', [], ['RUN c']],
  ['not in a here-string', 'RUN cat <<<E\nRUN c', [], ['RUN c']],
]

for (const [name, text, contents, after] of HEREDOCS)
  test(`semantics 13: heredocs: ${name}`, () => {
    const [node, ...rest] = parseSyntax({ name: 'Dockerfile', text }).nodes
    assert.deepEqual(
      node?.heredocs.map(heredoc => heredoc.content),
      contents,
    )
    assert.deepEqual(
      rest.map(({ original }) => original),
      after,
    )
  })

test('semantics 13: a heredoc without an end is refused where it begins', () => {
  const error = failureOf(() => originals('FROM a\nRUN <<E\na\n E'))
  assert.match(error.message, /heredoc "E": no line ends it/)
  assert.equal(error.span?.startLine, 2)
})

const FLAGS: readonly (readonly [name: string, text: string, flags: readonly string[], rest: string])[] = [
  ['none', 'RUN a --b', [], 'a --b'],
  ['some', 'RUN --a=b  --c d', ['--a=b', '--c'], 'd'],
  [
    'quotes hold spaces and go away',
    'RUN --mount="type=bind,source=a b" --x=\'c d\' e',
    ['--mount=type=bind,source=a b', '--x=c d'],
    'e',
  ],
  ['a backslash takes the next character as it is', 'RUN --a=b\\ c d', ['--a=b c'], 'd'],
  ['a lone -- ends them', 'RUN --a -- --b', ['--a'], '--b'],
  ['a single dash is none', 'RUN -a', [], '-a'],
  ['a flag may be all there is', 'RUN --a', ['--a'], ''],
  ['text beyond ASCII stays whole', 'COPY --chown=jürgen à b', ['--chown=jürgen'], 'à b'],
]

for (const [name, text, flags, rest] of FLAGS)
  test(`parseSyntax() splits flags: ${name}`, () => {
    const node = parseSyntax({ name: 'Dockerfile', text }).nodes[0]
    assert.deepEqual([node?.flags, node?.rest], [flags, rest])
  })

test('parseSyntax() gives each instruction all its lines', () => {
  const { nodes } = parseSyntax({
    name: 'Dockerfile',
    text: '# c\n\nFROM a\nRUN <<E\nx\nE\n\nRUN b \\\n\n c\nRUN d',
  })
  assert.deepEqual(
    nodes.map(({ span }) => [span.startLine, span.endLine]),
    [
      [3, 3],
      [4, 6],
      [8, 10],
      [11, 11],
    ],
  )
  assert.deepEqual(
    nodes.map(node => node.blankContinuation?.startLine),
    [undefined, undefined, 10, undefined],
  )
})

test('parseSyntax() refuses a line that BuildKit could not scan', () => {
  assert.equal(failureOf(() => originals(`FROM a\nRUN ${'x'.repeat(65536)}`)).span?.startLine, 2)
  assert.equal(originals(`FROM a\nRUN ${'x'.repeat(65531)}`).length, 2)
})
