/** Holds `docs/registry-clauses.md` to the tests that there are. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '../../..')

const ENDPOINTS = '1 2 3 4a 4b 4c 5 6 7a 7b 8a 8b 9 10 11 12a 12b 13 14'
  .split(' ')
  .map(number => `end-${number}`)
const CODES = Array.from({ length: 14 }, (_, at) => `code-${at + 1}`)
const TRAPS = Array.from({ length: 17 }, (_, at) => `L${at + 1}`)

interface Section {
  readonly clause: string
  readonly tests: readonly { readonly file: string; readonly title: string }[]
}

function readSections(): readonly Section[] {
  const [, ...sections] = readFileSync(join(ROOT, 'docs/registry-clauses.md'), 'utf8').split(/^### /m)
  return sections.map(text => ({
    clause: text.slice(0, text.indexOf(':')),
    tests: [...text.matchAll(/^- `([^`]+)`: (.+)$/gm)].map(([, file = '', title = '']) => ({ file, title })),
  }))
}

/** Titles as they are written in the source, with `…` for each place that is filled in. */
function titlesOf(file: string): ReadonlySet<string> {
  const source = readFileSync(join(ROOT, 'test', file), 'utf8')
  const titles = [...source.matchAll(/\bit\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map(
    ([, , title = '']) => title,
  )
  return new Set(titles.map(title => title.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll("\\'", "'")))
}

describe('the list of clauses', () => {
  const sections = readSections()

  it('has every clause once, in order, with a test at least', () => {
    assert.deepEqual(
      sections.map(section => section.clause),
      [...ENDPOINTS, ...CODES, ...TRAPS],
    )
    for (const { clause, tests } of sections) assert.ok(tests.length > 0, clause)
  })

  it('names tests that are there', () => {
    const titles = new Map<string, ReadonlySet<string>>()
    for (const { clause, tests } of sections)
      for (const { file, title } of tests) {
        const known = titles.get(file) ?? titlesOf(file)
        titles.set(file, known)
        assert.ok(known.has(title), `${clause}: ${file} has no test "${title}"`)
      }
  })
})
