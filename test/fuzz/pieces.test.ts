// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the shell's syntax, meant as text
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expandBody, expandWord, expandWords } from '../../src/builder/dockerfile/expand.ts'
import { parseOnbuildTrigger } from '../../src/builder/dockerfile/onbuild.ts'
import { parseDockerfile } from '../../src/builder/dockerfile/parse.ts'
import { parseRunMount } from '../../src/builder/dockerfile/run-mount.ts'
import { BuildError } from '../../src/builder/errors.ts'

/** A small generator (mulberry32): the same inputs in every run. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

function createPicker(seed: number, pieces: readonly string[], longest: number): () => string {
  const random = createRandom(seed)
  return () => Array.from({ length: random(longest) }, () => pieces[random(pieces.length)]).join('')
}

/** Runs to the end, or to a BuildError. */
function survives(input: string, run: () => unknown): void {
  try {
    run()
  } catch (error) {
    assert.ok(
      error instanceof BuildError,
      `${JSON.stringify(input)} threw ${error instanceof Error ? error.stack : error}`,
    )
    assert.equal(error.code, 'dockerfile-invalid')
  }
}

const DOCKERFILE_PIECES = [
  ...[
    'FROM ',
    'RUN ',
    'COPY ',
    'ADD ',
    'ENV ',
    'ARG ',
    'LABEL ',
    'ONBUILD ',
    'HEALTHCHECK ',
    'CMD ',
    'SHELL ',
    'EXPOSE ',
    'VOLUME ',
  ],
  ...[
    'STOPSIGNAL ',
    'USER ',
    'WORKDIR ',
    'MAINTAINER ',
    'ENTRYPOINT ',
    'AS ',
    '# ',
    '# escape=`\n',
    '# syntax=x\n',
    '#!',
  ],
  ...[
    '\n',
    '\n',
    '\n',
    '\r\n',
    '\r',
    '\\\n',
    '\\',
    '`',
    ' ',
    '\t',
    '\u00a0',
    '\u0085',
    '\ufeff',
    '\0',
    '\ud800',
    '😀',
    'é',
  ],
  ...[
    '<<',
    '<<E',
    '<<-E',
    '3<<E',
    "<<'E'",
    '<<"',
    'E\n',
    '\nE\n',
    '\tE\n',
    '[',
    ']',
    '["a"]',
    '["a",1]',
    '"',
    "'",
    ',',
  ],
  ...[
    '--',
    '--from=',
    '--mount=type=',
    '--chown=',
    '--link',
    '=',
    'a',
    'b=c',
    '$a',
    '${a}',
    '${',
    '}',
    ':-',
    '0-9',
    '/',
    '*',
    '.',
  ],
]

test('parseDockerfile() survives any text', () => {
  const pick = createPicker(1, DOCKERFILE_PIECES, 40)
  for (let round = 0; round < 4000; round++) {
    const text = (round % 2 === 0 ? 'FROM a\n' : '') + pick()
    survives(text, () => parseDockerfile({ name: 'Dockerfile', text }))
  }
})

test('parseOnbuildTrigger() survives any text', () => {
  const pick = createPicker(2, DOCKERFILE_PIECES, 12)
  const span = { source: { name: 'Dockerfile', text: '' }, startLine: 1, endLine: 1 }
  for (let round = 0; round < 2000; round++) {
    const text = pick()
    survives(text, () => parseOnbuildTrigger(text, span))
  }
})

const WORD_PIECES = [
  ...[
    '$',
    '${',
    '}',
    'a',
    'b',
    '_',
    '1',
    ':',
    '-',
    '+',
    '?',
    '#',
    '%',
    '/',
    '*',
    '\\',
    '`',
    '"',
    "'",
    ' ',
    '\n',
    '\t',
    '😀',
    '한',
    '\ud800',
    '\0',
  ],
  ...['$a', '${a', '${b:-', '${a//', '${a#', '${a%%', '@', '[', ']', '.', '^', '(', '|'],
]

test('expandWord() and its kin survive any text', () => {
  const pick = createPicker(3, WORD_PIECES, 24)
  for (let round = 0; round < 6000; round++) {
    const word = pick()
    const env = new Map([
      ['a', pick()],
      ['b', ''],
    ])
    survives(word, () => expandWord(word, env, { escape: '\\' }))
    survives(word, () => expandWords(word, env, { escape: '`' }))
    survives(word, () => expandBody(word, env))
  }
})

test('parseRunMount() survives any text', () => {
  const pieces = [
    'type=',
    'bind',
    'cache',
    'secret',
    ',',
    '=',
    '"',
    '""',
    'id',
    'uid=',
    'mode=',
    'size=',
    '7',
    'target=/a',
    'ro',
    '$',
    '\n',
  ]
  const pick = createPicker(4, pieces, 12)
  const span = { source: { name: 'Dockerfile', text: '' }, startLine: 1, endLine: 1 }
  for (let round = 0; round < 4000; round++) {
    const text = pick()
    survives(text, () => parseRunMount(text, value => value, span))
  }
})

const REPEATED = [
  'RUN a\n',
  'RUN a \\\n',
  '\\\n',
  '<<A ',
  'RUN <<A\n',
  '"',
  "'",
  '$',
  '${a:-',
  '[',
  '--a ',
  '\\',
  ' ',
  '\t',
  '\n',
  '#\n',
  'ENV a=',
  '\r',
  'a=b ',
  'ONBUILD ',
]

for (const piece of REPEATED)
  test(`parseDockerfile() reads ${JSON.stringify(piece)} again and again in linear time`, () => {
    const text = `FROM a\nRUN ${piece.repeat(Math.floor(60_000 / piece.length))}`
    survives(piece, () => parseDockerfile({ name: 'Dockerfile', text }))
  })
