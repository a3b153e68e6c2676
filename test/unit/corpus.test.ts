import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'fixtures/dockerfile')
const POINTS = 113

const cases = readdirSync(FOLDER, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => name)

interface NamedTest {
  readonly point: number
  readonly file: string
  readonly title: string
}

/** The table of README.md. */
const tests: readonly NamedTest[] = Array.from(
  readFileSync(join(FOLDER, 'README.md'), 'utf8').matchAll(/^\| (\d+) \| `(\S+)` \| (.+) \|$/gm),
  ([, point, file = '', title = '']) => ({ point: Number(point), file, title }),
)

describe('the corpus of Dockerfiles', () => {
  it('has at least 250 cases, each with its Dockerfile and its points first in its name', () => {
    assert.ok(cases.length >= 250, `${cases.length} cases`)
    const badlyNamed = cases.filter(name => !/^((\d{3}-)+|lint-)[a-z][a-z0-9-]*$/.test(name))
    assert.deepEqual(badlyNamed, [])
    const without = cases.filter(name => !existsSync(join(FOLDER, name, 'Dockerfile')))
    assert.deepEqual(without, [])
  })

  it('covers each point of the semantics by a case or a named test', () => {
    const shown = new Set([...cases.flatMap(pointsOf), ...tests.map(({ point }) => point)])
    const all = Array.from({ length: POINTS }, (_, index) => index + 1)
    assert.deepEqual(
      [...shown].toSorted((a, b) => a - b),
      all,
    )
  })

  for (const { point, file, title } of tests)
    it(`finds the test of point ${point}`, () => {
      const text = readFileSync(join(ROOT, file), 'utf8')
      assert.ok(text.includes(`'${title}'`), `${file} has no test "${title}"`)
    })
})

/** `033-034-new-parents`: 33 and 34. */
function pointsOf(name: string): readonly number[] {
  const [numbers = ''] = /^(\d{3}-)+/.exec(name) ?? []
  return numbers.split('-').filter(Boolean).map(Number)
}
