import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { graphSource, graphTarget, readContent } from '../oci/graph.ts'
import { parseManifest } from '../oci/manifest.ts'
import { isTag, type RepositoryName } from '../oci/reference.ts'
import { StoreError } from '../store/errors.ts'
import { manifestRecordOf } from '../store/images.ts'
import { describeManifest } from '../store/manifest-details.ts'
import type { ManifestHead, ManifestRecord, ManifestReference, Metadata } from '../store/metadata.ts'
import { RegistryError } from './errors.ts'
import { createKeptBytes, type KeptBytes } from './kept-bytes.ts'
import type { RegistryStore } from './registry-store.ts'
import type { NewManifest, RepositoryStore, StoredManifest } from './repository-store.ts'

interface Manifests {
  readonly stat: RepositoryStore['statManifest']
  readonly get: RepositoryStore['getManifest']
  readonly put: RepositoryStore['putManifest']
  readonly listReferrers: RepositoryStore['listReferrers']
}

/** Manifests over the store: what may be put, and what refers to what. */
export function createManifests(store: RegistryStore): Manifests {
  const { content, metadata } = store

  const kept = createKeptBytes(KEPT_BYTES)
  const get: Manifests['get'] = (name, reference) => getManifest(store, kept, name, reference)

  return {
    stat: async (name, reference) => metadata.findManifest(name, reference),
    get,
    async put(name, given) {
      const digest = verifyDigest(given)
      const manifest = parseManifest(given.bytes, given.mediaType)
      const record = manifestRecordOf(manifest, { digest, size: given.bytes.length })
      requireReferences(store, name, record)
      const descriptor = { mediaType: manifest.mediaType, digest, size: given.bytes.length }
      await graphTarget(content).write(descriptor, Readable.from([given.bytes]), new AbortController().signal)
      const details = await describeManifest(content, manifest, descriptor)
      putRecord(store, name, { ...record, details }, given)
      return { digest, ...(record.subject !== undefined && { subject: record.subject }) }
    },
    async *listReferrers(name, subject, after) {
      const tagged = fallbackReferrers((await get(name, fallbackReference(subject)))?.bytes)
      const isReferrer = (digest: Digest): boolean => metadata.getManifest(name, digest)?.subject === subject
      const start =
        after === undefined || isReferrer(after) ? 0 : tagged.findIndex(({ digest }) => digest === after) + 1
      if (start === 0) yield* ownReferrers(metadata, name, subject, after)
      for (const descriptor of tagged.slice(start)) {
        const record = metadata.getManifest(name, descriptor.digest)
        if (record !== undefined && record.subject !== subject) yield descriptor
      }
    },
  }
}

/** A subject may have very many, and each may have annotations of megabytes: a few at a time. */
const REFERRERS_AT_ONCE = 16

async function* ownReferrers(
  metadata: Metadata,
  name: RepositoryName,
  subject: Digest,
  start: Digest | undefined,
): AsyncGenerator<Descriptor> {
  for (let after = start; ; await nextTurn()) {
    const page = { ...(after !== undefined && { after }), limit: REFERRERS_AT_ONCE }
    const records = metadata.listReferrers(name, subject, page)
    yield* records.map(descriptorOf)
    if (records.length < REFERRERS_AT_ONCE) return
    after = records.at(-1)?.digest
  }
}

/** Of manifests that are asked for again and again. */
const KEPT_BYTES = 4 * 1024 * 1024

/**
 * Another process may push a tag again, and delete what it meant, between reading what the tag means and reading the
 * bytes: a tag that has moved is read anew, or a tag that was never gone would seem to be.
 */
async function getManifest(
  store: RegistryStore,
  kept: KeptBytes,
  name: RepositoryName,
  reference: ManifestReference,
): Promise<StoredManifest | undefined> {
  const { metadata } = store
  for (let attempt = 1; attempt <= MAX_MOVES; attempt++) {
    const manifest = metadata.findManifest(name, reference)
    if (manifest === undefined) return undefined
    const { digest } = manifest
    const known = kept.get(digest)
    if (known !== undefined) return { ...manifest, bytes: known }
    try {
      const bytes = await readManifest(store, manifest)
      kept.put(digest, bytes)
      return { ...manifest, bytes }
    } catch (error) {
      if (!isMissing(error) || metadata.findManifest(name, { digest }) !== undefined) throw error
    }
  }
  return undefined
}

/** A tag that moves more often while it is read is given up. */
const MAX_MOVES = 10

function isMissing(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'content-missing'
}

function verifyDigest({ bytes, digest }: NewManifest): Digest {
  const actual = digestOf(bytes, digest && digestAlgorithm(digest))
  if (digest === undefined || digest === actual) return actual
  throw new RegistryError('digest-invalid', `Cannot store manifest: want ${digest}, got ${actual}`)
}

/** What a manifest points at must be in the same repository; a subject may be missing for ever. */
function requireReferences({ metadata }: RegistryStore, name: RepositoryName, record: ManifestRecord): void {
  const optional = new Set(record.optional)
  const missing = record.references.filter(
    digest =>
      !optional.has(digest) &&
      !metadata.isBlobLinked(name, digest) &&
      metadata.getManifest(name, digest) === undefined,
  )
  if (missing.length > 0) throw referencesMissing(name, missing)
}

/** The check and the write are two steps: content may be collected between them, and the write finds out. */
function putRecord(
  { metadata }: RegistryStore,
  name: RepositoryName,
  record: ManifestRecord,
  { tags }: NewManifest,
): void {
  try {
    metadata.putManifest(name, record, tags)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'content-missing')
      throw referencesMissing(name, error.detail)
    throw error
  }
}

/** Names the first hundred: the answer to a hostile manifest is not as long as the manifest. */
function referencesMissing(name: RepositoryName, missing: unknown): RegistryError {
  const digests = Array.isArray(missing) ? missing : []
  return new RegistryError(
    'manifest-blob-unknown',
    `Cannot store manifest: ${name} lacks ${digests.slice(0, 3).join(', ')}${digests.length > 3 ? ' ...' : ''}; push that first`,
    { detail: { digests: digests.slice(0, 100) } },
  )
}

/** A damaged manifest is not served: clients that asked by tag could not tell. */
async function readManifest({ content }: RegistryStore, record: ManifestHead): Promise<Buffer> {
  try {
    return await readContent(graphSource(content), record)
  } catch (error) {
    if (!(error instanceof OciError)) throw error
    throw new RegistryError('content-corrupt', `Cannot read manifest ${record.digest}: it is damaged`, {
      cause: error,
    })
  }
}

function descriptorOf(record: ManifestRecord): Descriptor {
  const { mediaType, digest, size, artifactType, annotations } = record
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  }
}

/**
 * Clients of registries without referrers keep them in an index under the tag `sha256-<hex>`; what such a tag lists
 * belongs to the answer too (distribution-spec "Referrers Tag Schema": algorithm cut to 32, hash to 64 characters).
 */
function fallbackReference(subject: Digest): ManifestReference {
  const tag = `${digestAlgorithm(subject).slice(0, 32)}-${digestHex(subject).slice(0, 64)}`
  return isTag(tag) ? { tag } : { digest: subject }
}

function fallbackReferrers(bytes: Buffer | undefined): readonly Descriptor[] {
  if (bytes === undefined) return []
  const manifest = parseManifest(bytes)
  return manifest.kind === 'index' ? manifest.manifests : []
}
