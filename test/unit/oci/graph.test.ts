import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { Descriptor } from '../../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { OciError } from '../../../src/oci/errors.ts'
import {
  type CopyEvent,
  copyGraph,
  type GraphSource,
  type GraphTarget,
  readContent,
} from '../../../src/oci/graph.ts'
import { imageManifestBytes, indexBytes } from '../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { collect } from './tar-bytes.ts'

/** Content in memory that notes what is asked of it. */
class Memory implements GraphSource, GraphTarget {
  readonly blobs = new Map<Digest, Buffer>()
  readonly opened: Digest[] = []
  readonly written: Digest[] = []

  add(mediaType: string, content: string | Buffer): Descriptor {
    const bytes = Buffer.from(content as string)
    const digest = digestOf(bytes)
    this.blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }

  image(...layers: readonly string[]): Descriptor {
    const config = this.add(MEDIA_TYPE.ociConfig, `config of ${layers}`)
    const descriptors = layers.map(layer => this.add(MEDIA_TYPE.ociLayer, layer))
    const manifest = imageManifestBytes({ mediaType: MEDIA_TYPE.ociManifest, config, layers: descriptors })
    return this.add(MEDIA_TYPE.ociManifest, manifest)
  }

  async open({ digest }: Descriptor): Promise<Readable> {
    this.opened.push(digest)
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) throw new OciError('content-missing', `Cannot open ${digest}: it is not there`)
    return Readable.from([bytes.subarray(0, 3), bytes.subarray(3)])
  }

  async has({ digest }: Descriptor): Promise<boolean> {
    return this.blobs.has(digest)
  }

  async write({ digest }: Descriptor, source: AsyncIterable<Buffer>): Promise<void> {
    this.blobs.set(digest, await collect(source))
    this.written.push(digest)
  }
}

const never = new AbortController().signal

function indexOf(memory: Memory, ...manifests: readonly Descriptor[]): Descriptor {
  return memory.add(MEDIA_TYPE.ociIndex, indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests }))
}

test('copyGraph() copies all that the root needs, children before parents, everything once', async () => {
  const [from, to] = [new Memory(), new Memory()]
  const [first, second] = [from.image('shared', 'one'), from.image('shared', 'two')]
  const root = indexOf(from, first, second)
  from.add('other', 'not part of it')
  await copyGraph(from, to, root, { signal: never })
  assert.equal(to.blobs.size, from.blobs.size - 1)
  assert.equal(new Set(to.written).size, to.written.length)
  assert.equal(to.written.at(-1), root.digest)
  assert.ok(to.written.indexOf(digestOf('one')) < to.written.indexOf(first.digest))
  assert.ok(to.written.indexOf(digestOf('shared')) < to.written.indexOf(second.digest))
})

test('copyGraph() does not send again what the target has', async () => {
  const [from, to] = [new Memory(), new Memory()]
  const root = from.image('base', 'new')
  to.add(MEDIA_TYPE.ociLayer, 'base')
  const events: CopyEvent[] = []
  await copyGraph(from, to, root, { signal: never, onProgress: event => events.push(event) })
  assert.ok(!from.opened.includes(digestOf('base')))
  assert.deepEqual(
    events.filter(event => event.kind === 'exists').map(event => event.descriptor.digest),
    [digestOf('base')],
  )
  assert.equal(events.filter(event => event.kind === 'done').length, 3)
})

test('copyGraph() leaves out children that the filter refuses', async () => {
  const [from, to] = [new Memory(), new Memory()]
  const [wanted, other] = [from.image('wanted'), from.image('other')]
  const root = indexOf(from, wanted, other)
  await copyGraph(from, to, root, { signal: never, filter: child => child.digest !== other.digest })
  assert.ok(to.blobs.has(wanted.digest) && !to.blobs.has(other.digest))
})

test('copyGraph() writes no parent of what it could not copy, and waits for what is under way', async () => {
  const [from, to] = [new Memory(), new Memory()]
  const root = from.image('there', 'gone')
  from.blobs.delete(digestOf('gone'))
  await assert.rejects(copyGraph(from, to, root, { signal: never, concurrency: 1 }), {
    code: 'content-missing',
  })
  assert.ok(!to.blobs.has(root.digest))
  assert.ok(to.blobs.has(digestOf('there')))
})

test('copyGraph() stops at the first failure: what runs is aborted, and nothing more is begun', async () => {
  const from = new Memory()
  class Endless extends Memory {
    override async write(descriptor: Descriptor, source: AsyncIterable<Buffer>, signal?: AbortSignal) {
      if (descriptor.digest !== digestOf('a')) return super.write(descriptor, source)
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    }
  }
  const root = from.image('a', 'gone', ...Array.from({ length: 50 }, (_, index) => `layer ${index}`))
  from.blobs.delete(digestOf('gone'))
  const copying = copyGraph(from, new Endless(), root, { signal: never, concurrency: 2 })
  await assert.rejects(copying, { code: 'content-missing' })
  assert.ok(from.opened.length < 6, `${from.opened.length} opened`)
})

test('copyGraph() stops a source that goes on beyond its size', async () => {
  const [from, to] = [new Memory(), new Memory()]
  const root = from.image('layer')
  from.blobs.set(digestOf('layer'), Buffer.from('layer and more'))
  await assert.rejects(copyGraph(from, to, root, { signal: never }), {
    code: 'size-mismatch',
    message: /goes on after/,
  })
})

test('copyGraph() never has more copies under way than it may', async () => {
  const from = new Memory()
  let [running, most] = [0, 0]
  class Slow extends Memory {
    override async write(descriptor: Descriptor, source: AsyncIterable<Buffer>): Promise<void> {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      await super.write(descriptor, source)
      running--
    }
  }
  await copyGraph(from, new Slow(), from.image('a', 'b', 'c', 'd', 'e'), { signal: never, concurrency: 2 })
  assert.equal(most, 2)
})

test('copyGraph() does nothing once the signal is aborted', async () => {
  const [from, to] = [new Memory(), new Memory()]
  await assert.rejects(copyGraph(from, to, from.image('a'), { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  assert.equal(to.blobs.size, 0)
})

test('readContent() returns content that is what its descriptor says, and nothing else', async () => {
  const memory = new Memory()
  const descriptor = memory.add('x', 'content')
  assert.equal((await readContent(memory, descriptor)).toString(), 'content')
  await assert.rejects(readContent(memory, { ...descriptor, size: 8 }), {
    code: 'size-mismatch',
    message: /got 7/,
  })
  await assert.rejects(readContent(memory, { ...descriptor, size: 6 }), {
    code: 'size-mismatch',
    message: /got more/,
  })
  await assert.rejects(readContent(memory, descriptor, 5), {
    code: 'size-mismatch',
    message: /are more than 5/,
  })
  memory.blobs.set(descriptor.digest, Buffer.from('CONTENT'))
  await assert.rejects(readContent(memory, descriptor), { code: 'digest-mismatch' })
})
