import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOnbuildTrigger } from '../../../../src/builder/dockerfile/onbuild.ts'
import { failureOf, instructionsOf } from './parsing.ts'

const SPAN = { source: { name: 'Dockerfile', text: 'FROM base' }, startLine: 1, endLine: 1 }

test('semantics 78: a trigger reads back as the instruction that it was', () => {
  for (const text of [
    'RUN <<E cat\na\nE',
    'COPY --chown=a:b <<A b /c/\n$x\nA',
    'ENV a=b  c="d"',
    'run x   y',
  ]) {
    const [direct] = instructionsOf(`FROM a\n${text}`)
    const [onbuild] = instructionsOf(`FROM a\nONBUILD ${text}`)
    assert.ok(onbuild?.kind === 'onbuild')
    assert.deepEqual(parseOnbuildTrigger(onbuild.expression, SPAN), { ...direct, span: SPAN })
  }
})

test('a trigger that is continued with another escape reads back whole', () => {
  const [onbuild] = instructionsOf('# escape=`\nFROM a\nONBUILD RUN a `\n  b')
  assert.ok(onbuild?.kind === 'onbuild')
  assert.equal(parseOnbuildTrigger(onbuild.expression, SPAN).original, 'RUN a   b')
})

for (const text of [
  '',
  '# x',
  'RUN a\nRUN b',
  'FROM a',
  'ONBUILD RUN a',
  'MAINTAINER a',
  'RNU a',
  'COPY a',
  'RUN <<E\na',
])
  test(`parseOnbuildTrigger(${JSON.stringify(text)}) is refused at the FROM that brought it`, () =>
    assert.equal(failureOf(() => parseOnbuildTrigger(text, SPAN)).span, SPAN))

test('parseOnbuildTrigger() takes a comment at the start for no directive', () => {
  assert.equal(parseOnbuildTrigger('# escape=`\nRUN a \\\n b', SPAN).original, 'RUN a  b')
})
