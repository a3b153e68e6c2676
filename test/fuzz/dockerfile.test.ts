import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDockerfile } from '../../src/builder/dockerfile/parse.ts'
import type { SourceSpan } from '../../src/builder/dockerfile/source.ts'
import { BuildError } from '../../src/builder/errors.ts'
import { createRandom, type Random, rounds, SEED_NOTE } from './support/random.ts'
import { createWatch } from './support/watch.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures/dockerfile')

const CORPUS = readdirSync(FIXTURES)
  .map(name => join(FIXTURES, name, 'Dockerfile'))
  .filter(path => existsSync(path))
  .map(path => readFileSync(path, 'utf8'))

const PIECES = [
  '\n',
  '\\\n',
  '\r\n',
  ' ',
  '\t',
  '\\',
  '`',
  '#',
  '"',
  "'",
  '$',
  '${',
  '}',
  '${a:-',
  '<<E\n',
  'E\n',
  '<<-"E"\n',
  '[',
  ']',
  '["',
  '",',
  '--',
  '--from=',
  '--mount=',
  '--chown=',
  '=',
  ',',
  '\0',
  '\u00a0',
  '\ufeff',
  '\ud800',
  '한',
  'FROM ',
  'RUN ',
  'COPY ',
  'ADD ',
  'ENV ',
  'ARG ',
  'ONBUILD ',
  'HEALTHCHECK ',
  'EXPOSE ',
  'SHELL ',
  '# escape=`\n',
]

type Mutation = (text: string, random: Random) => string

const MUTATIONS: readonly Mutation[] = [
  (text, random) => insert(text, random.below(text.length + 1), random.pick(PIECES)),
  (text, random) => cut(text, random),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => insert(text, random.below(text.length + 1), String.fromCharCode(random.below(0x250))),
  (text, random) => text.replaceAll('\n', random.pick(['\r\n', '\\\n', '\n\n', '\r', ' \\ \n'])),
  (text, random) => {
    const lines = text.split('\n')
    const [line = ''] = lines.splice(random.below(lines.length), 1)
    lines.splice(random.below(lines.length + 1), 0, ...Array<string>(random.below(3)).fill(line))
    return lines.join('\n')
  },
  (text, random) => {
    const other = random.pick(CORPUS)
    return text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1))
  },
]

function insert(text: string, at: number, piece: string): string {
  return text.slice(0, at) + piece + text.slice(at)
}

function cut(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  return text.slice(0, at) + text.slice(at + random.below(12))
}

function assertInside({ source, startLine, endLine }: SourceSpan, text: string): void {
  assert.equal(source.text, text)
  const lines = text.split('\n').length
  assert.ok(
    1 <= startLine && startLine <= endLine && endLine <= lines,
    `lines ${startLine} to ${endLine} of ${lines}`,
  )
}

/** Undefined where the text is refused. */
function parse(text: string) {
  try {
    return parseDockerfile({ name: 'Dockerfile', text })
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    assert.equal(error.code, 'dockerfile-invalid')
    if (error.span !== undefined) assertInside(error.span, text)
    return undefined
  }
}

test('parseDockerfile() survives what becomes of the fixtures, and every place lies in the text', t => {
  t.diagnostic(SEED_NOTE)
  using watch = createWatch()
  const random = createRandom(1)
  let accepted = 0
  for (let round = 0; round < rounds(6000); round++) {
    let text = random.pick(CORPUS)
    for (let change = random.below(4); change >= 0; change--) text = random.pick(MUTATIONS)(text, random)
    try {
      const parsed = watch.run(text, () => parse(text))
      if (parsed === undefined) continue
      accepted++
      for (const stage of parsed.stages)
        for (const { span } of [stage, ...stage.instructions]) assertInside(span, text)
      for (const { span } of parsed.warnings) if (span !== undefined) assertInside(span, text)
    } catch (error) {
      throw new Error(`on ${JSON.stringify(text)}`, { cause: error })
    }
  }
  assert.ok(accepted > rounds(6000) / 20, `only ${accepted} were Dockerfiles still`)
})

test('parseDockerfile() survives random bytes', () => {
  using watch = createWatch()
  const random = createRandom(2)
  for (let round = 0; round < rounds(3000); round++) {
    const bytes = Buffer.from(Array.from({ length: random.below(80) }, () => random.below(256)))
    const text = `${random.pick(['', 'FROM a\n', 'FROM a\nRUN '])}${bytes.toString(random.pick(['utf8', 'latin1']))}`
    watch.run(text, () => parse(text))
  }
})

test('parseDockerfile() reads the joined lines of its instructions as the same instructions', () => {
  const random = createRandom(3)
  let compared = 0
  for (let round = 0; round < rounds(3000); round++) {
    let text = random.pick(CORPUS)
    for (let change = random.below(3); change > 0; change--) text = random.pick(MUTATIONS)(text, random)
    const parsed = text.includes('<<') ? undefined : parse(text)
    if (parsed === undefined || parsed.directives.escape !== '\\') continue
    const nodes = [...parsed.metaArgs, ...parsed.stages.flatMap(stage => [stage, ...stage.instructions])]
    const originals = nodes.map(({ original }) => original)
    // Joined, a blank that stood before a continuation may end the line, after an escape that escaped it.
    if (originals.some(line => /\\[ \t]*$|[\r\n]/.test(line))) continue
    const again = parse(`# no directives\n${originals.join('\n')}\n`)
    const shape = (stages: NonNullable<typeof again>['stages']) =>
      stages.map(stage => stage.instructions.map(({ span: _, ...instruction }) => instruction))
    assert.ok(again, JSON.stringify(originals))
    assert.deepEqual(shape(again.stages), shape(parsed.stages), JSON.stringify(text))
    compared++
  }
  assert.ok(compared > rounds(3000) / 20, `only ${compared} were compared`)
})

test('parseDockerfile() reads any words of the JSON form as they were', () => {
  const random = createRandom(4)
  const pieces = [
    'a',
    ' ',
    '"',
    "'",
    '\\',
    '$x',
    '\n',
    '\t',
    ',',
    '[',
    ']',
    '<<E',
    '#',
    '한',
    '😀',
    '\u2028',
    '--x',
  ]
  for (let round = 0; round < rounds(2000); round++) {
    const words = Array.from({ length: 1 + random.below(4) }, () => random.text(pieces, 6))
    const parsed = parse(`FROM a\nCMD ${JSON.stringify(words)}\nENTRYPOINT x\n`)
    const [command] = parsed?.stages[0]?.instructions ?? []
    assert.ok(command?.kind === 'cmd' && command.command.form === 'exec', JSON.stringify(words))
    assert.deepEqual(command.command.args, words)
  }
})
