/** What every content store must do (`src/oci/content.ts`), whatever it is made of. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { ContentIngester, ContentManager, ContentProvider, IngestID } from '../../src/oci/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { chunked, collect, NO_SIGNAL, noise, putContent, rejectsWith } from '../unit/store/support.ts'

type Content = ContentProvider & ContentIngester & ContentManager

export interface OpenContent {
  readonly content: Content
  /** The same store as another process sees it. */
  readonly other: Content
}

export function contentSuite(name: string, open: (t: TestContext) => Promise<OpenContent>): void {
  describe(name, () => {
    it('shows nothing before the commit, and everything after it', async t => {
      const { content, other } = await open(t)
      const digest = digestOf('hello')
      await using ingest = await content.begin()
      assert.equal(await ingest.append(chunked(Buffer.from('hello')), NO_SIGNAL), 5)
      assert.equal(await other.stat(digest), undefined)
      await assert.rejects(other.open(digest), rejectsWith('content-missing'))
      assert.deepEqual(await ingest.commit({ digest, size: 5 }), { digest, size: 5 })
      assert.deepEqual(await other.stat(digest), { digest, size: 5 })
      assert.equal((await collect(await other.open(digest))).toString(), 'hello')
    })

    it('keeps bytes of any length and alignment exactly', async t => {
      const { content } = await open(t)
      for (const length of [0, 1, 63, 64, 65, 65_535, 65_536, 65_537, 3 * 1024 * 1024 + 7]) {
        const bytes = noise(length, length)
        const digest = await putContent(content, bytes)
        assert.ok((await collect(await content.open(digest))).equals(bytes), `${length} bytes`)
      }
    })

    it('opens ranges with both ends inclusive, cut at the end of the content', async t => {
      const { content } = await open(t)
      const bytes = noise(2 * 1024 * 1024 + 5)
      const digest = await putContent(content, bytes)
      const ranges = [
        [0, 0],
        [5, 9],
        [65_000, 200_000],
        [1024 * 1024, undefined],
        [bytes.length - 1, undefined],
        [bytes.length - 3, bytes.length + 100],
        [bytes.length, undefined],
        [bytes.length + 7, bytes.length + 9],
      ] as const
      for (const [start, end] of ranges) {
        const got = await collect(await content.open(digest, end === undefined ? { start } : { start, end }))
        assert.ok(
          got.equals(bytes.subarray(start, end === undefined ? undefined : end + 1)),
          `${start}-${end}`,
        )
      }
    })

    it('refuses a commit whose digest or size is another, and lets the ingest be committed rightly', async t => {
      const { content } = await open(t)
      await using ingest = await content.begin()
      await ingest.append(chunked(Buffer.from('hello')), NO_SIGNAL)
      const digest = digestOf('hello')
      await assert.rejects(ingest.commit({ digest: digestOf('other') }), rejectsWith('digest-mismatch'))
      await assert.rejects(ingest.commit({ digest, size: 4 }), rejectsWith('size-mismatch'))
      assert.equal(await content.stat(digest), undefined)
      assert.equal(await content.stat(digestOf('other')), undefined)
      await ingest.commit({ digest })
    })

    it('goes on with an ingest that was closed, chunk by chunk, in this process and in another', async t => {
      const { content, other } = await open(t)
      const bytes = noise(700_001)
      await using first = await content.begin()
      const { id } = first
      await first[Symbol.asyncDispose]()
      const stores = [content, content, other, content, other, other, content]
      for (const [index, store] of stores.entries()) {
        await using ingest = await store.resume(id)
        assert.equal(ingest.offset, index * 100_001)
        const chunk = bytes.subarray(ingest.offset, ingest.offset + 100_001)
        await ingest.append(chunked(chunk, 9_999), NO_SIGNAL)
      }
      await using last = await other.resume(id)
      await last.commit({ digest: digestOf(bytes.subarray(0, last.offset)) })
      assert.equal(last.offset, 700_001)
    })

    it('knows the digest in a process that did not write the bytes', async t => {
      const { content, other } = await open(t)
      const { id } = await begunWith(content, 'hello')
      await using ingest = await other.resume(id)
      await assert.rejects(ingest.commit({ digest: digestOf('hallo') }), rejectsWith('digest-mismatch'))
      await ingest.commit({ digest: digestOf('hello'), size: 5 })
    })

    it('keeps what came before the source failed, and passes its error on as it is', async t => {
      const { content } = await open(t)
      await using ingest = await content.begin()
      const failure = Object.assign(new Error('gone'), { code: 'ENOENT', syscall: 'read' })
      const source = async function* () {
        yield Buffer.from('hel')
        throw failure
      }
      await assert.rejects(ingest.append(source(), NO_SIGNAL), error => error === failure)
      assert.equal(ingest.offset, 3)
      await ingest.append(chunked(Buffer.from('lo')), NO_SIGNAL)
      await ingest.commit({ digest: digestOf('hello') })
    })

    it('stops at once when the signal aborts while the source is silent', async t => {
      const { content } = await open(t)
      await using ingest = await content.begin()
      const abort = new AbortController()
      const source = async function* () {
        yield Buffer.from('hel')
        queueMicrotask(() => abort.abort(new Error('stop')))
        await new Promise(() => undefined)
      }
      await assert.rejects(ingest.append(source(), abort.signal), /stop/)
      assert.equal(ingest.offset, 3)
      await ingest.append(chunked(Buffer.from('lo')), NO_SIGNAL)
      await ingest.commit({ digest: digestOf('hello') })
    })

    it('takes content that is already there as success', async t => {
      const { content, other } = await open(t)
      const digest = await putContent(content, 'twice')
      assert.equal(await putContent(other, 'twice'), digest)
      assert.equal((await collect(await content.open(digest))).toString(), 'twice')
    })

    it('commits the same digest from several ingests at once', async t => {
      const { content, other } = await open(t)
      const stores = [content, other, content, other, content]
      const digests = await Promise.all(stores.map(store => putContent(store, 'same')))
      assert.deepEqual(new Set(digests), new Set([digestOf('same')]))
    })

    it('lets one writer at a time append; others are told that it is busy, and may look', async t => {
      const { content, other } = await open(t)
      const { id } = await begunWith(content, 'a')
      await using writer = await content.resume(id)
      await writer.append(chunked(Buffer.from('b')), NO_SIGNAL)
      for (const store of [content, other]) {
        await using reader = await store.resume(id)
        assert.equal(reader.offset, 2)
        const append = reader.append(chunked(Buffer.from('c')), NO_SIGNAL)
        await assert.rejects(append, rejectsWith('ingest-busy'))
        await assert.rejects(reader.commit({ digest: digestOf('ab') }), rejectsWith('ingest-busy'))
      }
      await writer.append(chunked(Buffer.from('c')), NO_SIGNAL)
      await writer[Symbol.asyncDispose]()
      await using last = await other.resume(id)
      await last.commit({ digest: digestOf('abc') })
    })

    it('refuses to append where another writer has gone on meanwhile', async t => {
      const { content, other } = await open(t)
      const { id } = await begunWith(content, 'a')
      await using late = await content.resume(id)
      {
        await using ingest = await other.resume(id)
        await ingest.append(chunked(Buffer.from('b')), NO_SIGNAL)
      }
      await assert.rejects(late.append(chunked(Buffer.from('b')), NO_SIGNAL), rejectsWith('ingest-busy'))
    })

    it('forgets an aborted ingest; aborting again, or after the commit, is no error', async t => {
      const { content, other } = await open(t)
      const { id } = await begunWith(content, 'hello')
      await using ingest = await other.resume(id)
      await ingest.abort()
      await ingest.abort()
      await assert.rejects(content.resume(id), rejectsWith('ingest-unknown'))
      await assert.rejects(ingest.append(chunked(Buffer.from('x')), NO_SIGNAL), rejectsWith('ingest-unknown'))

      await using committed = await content.begin()
      await committed.append(chunked(Buffer.from('kept')), NO_SIGNAL)
      await committed.commit({ digest: digestOf('kept') })
      await committed.abort()
      assert.deepEqual(await content.stat(digestOf('kept')), { digest: digestOf('kept'), size: 4 })
      await assert.rejects(content.resume(committed.id), rejectsWith('ingest-unknown'))
    })

    it('tells a writer whose ingest was aborted by another that there is none', async t => {
      const { content, other } = await open(t)
      await using writer = await content.begin()
      await writer.append(chunked(Buffer.from('hello')), NO_SIGNAL)
      await using canceller = await other.resume(writer.id)
      await canceller.abort()
      await assert.rejects(writer.commit({ digest: digestOf('hello') }), rejectsWith('ingest-unknown'))
      assert.equal(await content.stat(digestOf('hello')), undefined)
    })

    it('knows no ingest by names that are not its own', async t => {
      const { content } = await open(t)
      for (const id of [
        '',
        '.',
        '..',
        '../metadata.db',
        'a/b',
        'a\0b',
        'x'.repeat(300),
        'trash-1',
        'a.state',
      ])
        await assert.rejects(
          content.resume(id as IngestID),
          rejectsWith('ingest-unknown'),
          JSON.stringify(id),
        )
    })

    it('verifies sha512 as well as sha256', async t => {
      const { content } = await open(t)
      const bytes = noise(3_000_000)
      const digest = digestOf(bytes, 'sha512')
      await using ingest = await content.begin()
      await ingest.append(chunked(bytes), NO_SIGNAL)
      await assert.rejects(ingest.commit({ digest: digestOf('x', 'sha512') }), rejectsWith('digest-mismatch'))
      await ingest.commit({ digest })
      assert.ok((await collect(await content.open(digest))).equals(bytes))
    })

    it('lists its content in the order of the digests, and deletes it', async t => {
      const { content, other } = await open(t)
      const digests = await Promise.all(['one', 'two', 'three'].map(text => putContent(content, text)))
      assert.deepEqual(await listed(other), [...digests].sort())
      await content.delete(digestOf('two'))
      await content.delete(digestOf('two'))
      assert.equal(await other.stat(digestOf('two')), undefined)
      await assert.rejects(other.open(digestOf('two')), rejectsWith('content-missing'))
      assert.deepEqual(await listed(content), [digestOf('one'), digestOf('three')].sort())
      await putContent(other, 'two')
      assert.equal((await collect(await content.open(digestOf('two')))).toString(), 'two')
    })
  })
}

/** An ingest with some bytes, closed. */
async function begunWith(content: Content, text: string): Promise<{ readonly id: IngestID }> {
  await using ingest = await content.begin()
  await ingest.append(chunked(Buffer.from(text)), NO_SIGNAL)
  return { id: ingest.id }
}

async function listed(content: Content): Promise<readonly Digest[]> {
  const digests: Digest[] = []
  for await (const blob of content.list()) digests.push(blob.digest)
  return digests
}
