/**
 * Asks Debian's docker-registry and `slipway serve` the same, and compares status, error code and headers. Where they
 * answer otherwise, `docs/registry-differences.md` says so and why; a difference that is not there fails, and so does a
 * line there that is no longer true.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Distribution, startDistribution } from './support/distribution.ts'
import { type Answer, PROBES, targetOf } from './support/registry-probes.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const DOCUMENT = join(import.meta.dirname, '../../docs/registry-differences.md')

/** What of an answer is compared. */
const HEADERS = [
  'accept-ranges',
  'allow',
  'cache-control',
  'content-range',
  'content-type',
  'docker-content-digest',
  'docker-distribution-api-version',
  'docker-upload-uuid',
  'etag',
  'link',
  'location',
  'oci-subject',
  'oci-tag',
  'range',
]

/** Name of the probe, their answer, our answer. */
type Row = readonly [name: string, theirs: string, ours: string]

describe('the registry beside docker-registry', {
  skip: cannotRun({ programs: ['docker-registry'] }),
}, () => {
  let world: World
  let theirs: Distribution
  let ours: Served
  before(async () => {
    world = await createWorld()
    theirs = await startDistribution(join(world.scratch, 'distribution'))
    ours = await world.slipway.serve()
  })
  after(async () => {
    await theirs?.[Symbol.asyncDispose]()
    await ours?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  it('answers otherwise only where the document says so', async () => {
    const found: Row[] = []
    for (const [number, { name, run }] of PROBES.entries()) {
      const repository = `probe/p${number}`
      const [their, our] = [
        await run(targetOf(theirs.host, repository)),
        await run(targetOf(ours.host, repository)),
      ]
      const [a, b] = different(describeAnswer(their, repository), describeAnswer(our, repository))
      if (a !== b) found.push([name, a, b])
    }
    assert.ok(PROBES.length >= 70, `${PROBES.length} probes`)
    const listed = (await readFile(DOCUMENT, 'utf8')).split('\n').flatMap(readRow)
    const lines = (rows: readonly Row[]) => rows.map(formatRow).sort()
    assert.deepEqual(lines(found), lines(listed))
  })
})

/** `| name | theirs | ours | reason |`, with a reason. */
function readRow(line: string): readonly Row[] {
  const cells = line.split(/(?<!\\)\|/).map(cell =>
    cell
      .trim()
      .replaceAll('\\|', '|')
      .replace(/^`(.*)`$/, '$1'),
  )
  const [, name = '', theirs = '', ours = '', reason = ''] = cells
  if (cells.length !== 6 || name === 'Request' || name.startsWith('---')) return []
  assert.ok(reason.length > 10, `a reason for: ${name}`)
  return [[name, theirs, ours]]
}

function formatRow([name, theirs, ours]: Row): string {
  return `| ${name} | \`${theirs}\` | \`${ours}\` |`
}

/** Of a refusal, what says what to do about it. */
const HEADERS_OF_REFUSALS = ['allow', 'content-range', 'location', 'range']

/** Status and code, body and headers, in words. What is everywhere is told once in the document, not in each line. */
function describeAnswer({ status, headers, body }: Answer, repository: string): ReadonlyMap<string, string> {
  const error = parsed(body)?.errors?.[0]?.code
  const isRefusal = status >= 400
  const parts = new Map([['', isRefusal ? `${status} ${error ?? 'without a code'}` : String(status)]])
  for (const name of isRefusal ? HEADERS_OF_REFUSALS : HEADERS) {
    const value = headers[name]
    if (value !== undefined) parts.set(name, generalize(name, value, repository))
  }
  if (!isRefusal && body !== '') parts.set('body', bodyOf(body, repository))
  return parts
}

function generalize(name: string, value: string, repository: string): string {
  switch (name) {
    case 'location': {
      const { pathname } = new URL(value, 'http://registry')
      return shorten(pathname, repository).replace(/uploads\/[^/?]+/, 'uploads/ID')
    }
    case 'allow':
      return value.split(', ').sort().join(', ')
    case 'docker-upload-uuid':
      return 'ID'
    case 'content-type':
      return value
        .replace('application/json; charset=utf-8', 'application/json')
        .replace(/boundary=.*/, 'boundary=...')
    case 'cache-control':
      return value.replace(', immutable', '')
    default:
      return shorten(value, repository)
  }
}

function bodyOf(body: string, repository: string): string {
  const value = parsed(body)
  if (Array.isArray(value?.tags)) value.tags.sort()
  return shorten(value === undefined ? `${body.length} bytes` : JSON.stringify(value), repository)
}

function shorten(text: string, repository: string): string {
  return text.replaceAll(repository, 'NAME').replace(/(sha\d+:\w{6})\w+/g, '$1...')
}

function parsed(body: string) {
  try {
    return JSON.parse(body)
  } catch {
    return undefined // no JSON
  }
}

/** What differs, in one line each; equal lines where nothing does. A refusal differs from what is none as a whole. */
function different(
  theirs: ReadonlyMap<string, string>,
  ours: ReadonlyMap<string, string>,
): [theirs: string, ours: string] {
  const [their = '', our = ''] = [theirs.get(''), ours.get('')]
  if (their[0] !== our[0]) return [their, our]
  const names = [...new Set([...theirs.keys(), ...ours.keys()])].filter(
    name => theirs.get(name) !== ours.get(name),
  )
  const line = (parts: ReadonlyMap<string, string>): string =>
    names.map(name => (name === '' ? (parts.get('') ?? '') : `${name}: ${parts.get(name) ?? '-'}`)).join('; ')
  return [line(theirs), line(ours)]
}
