import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChmod } from '../../src/builder/dockerfile/chmod.ts'
import { parseCsvRecord } from '../../src/builder/dockerfile/csv.ts'
import { parseRunMount } from '../../src/builder/dockerfile/run-mount.ts'
import { parseOutputs } from '../../src/cli/build/outputs.ts'
import { parseSecrets } from '../../src/cli/build/secrets.ts'
import { CodedError } from '../../src/oci/errors.ts'
import { fakeTerminal } from '../unit/cli/fake-terminal.ts'
import { createRandom, rounds, SEED_NOTE } from './support/random.ts'
import { createWatch } from './support/watch.ts'

const SPAN = { source: { name: 'Dockerfile', text: '' }, startLine: 1, endLine: 1 }

test('parseCsvRecord() reads any fields back, each quoted where it must be', t => {
  t.diagnostic(SEED_NOTE)
  const random = createRandom(31)
  for (let round = 0; round < rounds(5000); round++) {
    const fields = Array.from({ length: 1 + random.below(4) }, () =>
      random.text(['a', ',', '"', '=', ' ', '\n', '한'], 5),
    )
    const line = fields.map(field =>
      /[",]/.test(field) || random.below(3) === 0 ? `"${field.replaceAll('"', '""')}"` : field,
    )
    assert.deepEqual(parseCsvRecord(line.join(',')), fields)
  }
})

const PIECES = [
  'type=',
  'bind',
  'cache',
  'tmpfs',
  'secret',
  'ssh',
  'oci',
  'docker',
  'local',
  'tar',
  'dest=',
  'src=',
  'source=',
  'target=',
  'id=',
  'env=',
  'uid=',
  'mode=',
  'size=',
  'sharing=',
  'from=',
  'ro',
  'rw',
  'required',
  '/a',
  '-',
  '7',
  '0755',
  'true',
  ',',
  ',',
  ',',
  '=',
  '"',
  '""',
  '$x',
  ' ',
  '\n',
  '\0',
  '__proto__',
  'constructor',
  '한',
  '9'.repeat(30),
]

const PARSERS: readonly (readonly [name: string, parse: (text: string) => unknown])[] = [
  ['parseRunMount', text => parseRunMount(text, value => value, SPAN)],
  ['parseChmod', text => parseChmod(text, SPAN).change(0o644, 'file')],
  ['parseSecrets', text => parseSecrets([text], { env: { x: 'y' }, workingDirectory: '/' })],
  [
    'parseOutputs',
    text => parseOutputs([text], fakeTerminal(), problem => Object.assign(new Refused(problem), {})),
  ],
]

class Refused extends CodedError<'usage'> {
  constructor(message: string) {
    super('usage', message)
  }
}

for (const [index, [name, parse]] of PARSERS.entries())
  test(`${name}() survives any text`, () => {
    using watch = createWatch()
    const random = createRandom(40 + index)
    const pieces = name === 'parseChmod' ? [...'ugoa+-=rwxXst,0178', 'u=rwX', '+x,', '9'.repeat(400)] : PIECES
    for (let round = 0; round < rounds(5000); round++) {
      const text = random.text(pieces, 10)
      watch.run(text, () => {
        try {
          parse(text)
        } catch (error) {
          assert.ok(error instanceof CodedError, `${JSON.stringify(text)} threw ${error}`)
        }
      })
    }
  })

test('parseChmod() gives nothing but mode bits', () => {
  const random = createRandom(50)
  for (let round = 0; round < rounds(3000); round++) {
    const clause = () =>
      `${random.text([...'ugoa'], 3)}${random.pick(['+', '-', '='])}${random.text([...'rwxXstugo'], 4)}`
    const text = Array.from({ length: 1 + random.below(4) }, clause).join(',')
    const mode = random.below(0o10000)
    const changed = parseChmod(text, SPAN).change(mode, random.pick(['file', 'directory']))
    assert.ok(
      Number.isInteger(changed) && changed >= 0 && changed <= 0o7777,
      `${text} of ${mode.toString(8)}`,
    )
    assert.equal(parseChmod(text, SPAN).change(mode, 'symlink'), mode)
  }
})
