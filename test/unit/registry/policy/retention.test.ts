import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../../../src/oci/digest.ts'
import type { Tag } from '../../../../src/oci/reference.ts'
import { decideRetention, type KeepRule } from '../../../../src/registry/policy/retention.ts'
import type { ManifestNode, RepositoryGraph } from '../../../../src/store/repository-graph.ts'

const DAY = 86_400_000
const NOW = 1000 * DAY

/** The digest of a number. */
function d(number: number): Digest {
  return `sha256:${String(number).padStart(64, '0')}` as Digest
}

interface Sketch {
  /** tag: [manifest, days since it was tagged] */
  readonly tags: Readonly<Record<string, readonly [manifest: number, age: number]>>
  readonly manifests?: Readonly<
    Record<
      number,
      {
        readonly subject?: number
        readonly children?: readonly number[]
        readonly pushed?: number
        readonly pulled?: number
      }
    >
  >
}

function graph({ tags, manifests = {} }: Sketch): RepositoryGraph {
  const numbers = new Set([
    ...Object.values(tags).map(([number]) => number),
    ...Object.keys(manifests).map(Number),
  ])
  const nodes = [...numbers].map((number): [Digest, ManifestNode] => {
    const { subject, children = [], pushed = 900, pulled } = manifests[number] ?? {}
    return [
      d(number),
      {
        id: number,
        digest: d(number),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 100,
        ...(subject !== undefined && { subject: d(subject) }),
        pushedAt: NOW - pushed * DAY,
        pulledAt: pulled === undefined ? 0 : NOW - pulled * DAY,
        children: children.map(d),
      },
    ]
  })
  return {
    tags: Object.entries(tags).map(([tag, [number, age]]) => ({
      tag: tag as Tag,
      digest: d(number),
      taggedAt: NOW - age * DAY,
    })),
    manifests: new Map(nodes),
  }
}

function decide(
  sketch: Sketch,
  keep: KeepRule,
  options: { readonly untagged?: number; readonly immutable?: string } = {},
) {
  const untaggedMs = options.untagged === undefined ? undefined : options.untagged * DAY
  const rule = { keep, ...(untaggedMs !== undefined && { untaggedMs }) }
  const decided = decideRetention(graph(sketch), rule, tag => tag === options.immutable, NOW)
  return {
    kept: Object.fromEntries(decided.kept.map(({ tag, reason }) => [tag, reason.kind])),
    removed: decided.removed.map(({ tag }) => tag),
    untagged: decided.untagged.map(digest => Number(digest.slice(7))),
    going: decided.going.toSorted((a, b) => a - b),
  }
}

const starting = (start: string) => ({
  pattern: `${start}*`,
  matches: (tag: string) => tag.startsWith(start),
})

describe('decideRetention()', () => {
  it('keeps the newest images with all of their tags, and counts an image once', () => {
    const tags = { a: [1, 9], b: [2, 5], 'b-again': [2, 6], c: [3, 1] } as const
    assert.deepEqual(decide({ tags }, { newest: 2 }), {
      kept: { b: 'newest', 'b-again': 'newest', c: 'newest' },
      removed: ['a'],
      untagged: [],
      going: [1],
    })
  })

  it('counts an image that was pushed again as new, though its tag has not moved', () => {
    const sketch: Sketch = { tags: { nightly: [1, 400], b: [2, 40] }, manifests: { 1: { pushed: 1 } } }
    assert.deepEqual(decide(sketch, { pushedWithinMs: 30 * DAY }).removed, ['b'])
  })

  it('keeps what was pulled lately, by its index or by one of its platforms', () => {
    const sketch: Sketch = {
      tags: { single: [1, 99], multi: [2, 99], idle: [3, 99] },
      manifests: { 1: { pulled: 3 }, 2: { children: [4] }, 4: { pulled: 3 }, 3: { pulled: 50 } },
    }
    const { kept, removed } = decide(sketch, { pulledWithinMs: 30 * DAY })
    assert.deepEqual(kept, { single: 'pulled', multi: 'pulled' })
    assert.deepEqual(removed, ['idle'])
  })

  it('never takes an image that was never pulled for one that was pulled at the beginning of time', () => {
    assert.deepEqual(decide({ tags: { a: [1, 99] } }, { pulledWithinMs: 9999 * DAY }).removed, ['a'])
  })

  it('keeps tags by pattern one by one, and immutable ones always', () => {
    const sketch: Sketch = { tags: { v1: [1, 99], 'dev-1': [1, 99], fixed: [2, 99] } }
    const decided = decide(sketch, { tags: [starting('v')] }, { immutable: 'fixed' })
    assert.deepEqual(decided.kept, { v1: 'pattern', fixed: 'immutable' })
    assert.deepEqual(decided.removed, ['dev-1'])
    assert.deepEqual(decided.going, [])
  })

  it('keeps signatures and other companions with their image, and lets them go with it', () => {
    const kept = d(1).replace(':', '-')
    const gone = d(2).replace(':', '-')
    const sketch: Sketch = {
      tags: {
        new: [1, 1],
        old: [2, 99],
        [`${kept}.sig`]: [11, 99],
        [kept]: [12, 99],
        [`${gone}.sig`]: [21, 1],
        'sbom-of-new': [13, 99],
      },
      manifests: { 13: { subject: 1 }, 14: { subject: 13 }, 22: { subject: 2 } },
    }
    const decided = decide(sketch, { newest: 1 })
    assert.deepEqual(decided.kept, {
      new: 'newest',
      [`${kept}.sig`]: 'belongs',
      [kept]: 'belongs',
      'sbom-of-new': 'belongs',
    })
    assert.deepEqual(decided.removed, ['old', `${gone}.sig`])
    assert.deepEqual(decided.going, [2, 21, 22])
  })

  it('keeps signatures of the platforms of a kept index', () => {
    const signature = `${d(4).replace(':', '-')}.sig`
    const sketch: Sketch = {
      tags: { new: [1, 1], [signature]: [5, 99] },
      manifests: { 1: { children: [4] }, 4: {} },
    }
    assert.deepEqual(decide(sketch, { newest: 1 }).removed, [])
  })

  it('waits a day for the image of a signature that came first', () => {
    const [early, late] = [7, 8].map(number => `${d(number).replace(':', '-')}.sig`)
    const sketch: Sketch = { tags: { [early ?? '']: [1, 0.5], [late ?? '']: [2, 2] } }
    const { kept, removed } = decide(sketch, { newest: 1 })
    assert.deepEqual(kept, { [early ?? '']: 'early' })
    assert.deepEqual(removed, [late])
  })

  it('removes manifests without a tag only where the rule says so, and none that something needs', () => {
    const sketch: Sketch = {
      tags: { new: [1, 1] },
      manifests: {
        1: { children: [2] },
        2: {},
        3: { subject: 2 },
        4: {},
        5: { children: [6] },
        6: {},
        7: { pushed: 3 },
        8: { pulled: 3 },
        9: { children: [10], pulled: 3 },
        10: {},
      },
    }
    assert.deepEqual(decide(sketch, { newest: 1 }).untagged, [])
    const decided = decide(sketch, { newest: 1 }, { untagged: 7 })
    assert.deepEqual(decided.untagged, [6, 5, 4])
    assert.deepEqual(decided.going, [4, 5, 6])
  })

  it('does not loop where a manifest refers to itself in a circle', () => {
    const sketch: Sketch = {
      tags: { a: [1, 1] },
      manifests: { 1: { subject: 2, children: [2] }, 2: { subject: 1, children: [1] } },
    }
    assert.deepEqual(decide(sketch, { newest: 1 }).removed, [])
  })
})
