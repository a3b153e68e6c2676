/**
 * The data directory of distribution (`registry:2`, Debian's docker-registry), read while it is not being written to:
 *
 * ```
 * docker/registry/v2/
 *   blobs/sha256/ab/<hex>/data
 *   repositories/<name>/_manifests/revisions/sha256/<hex>/link        a manifest that the repository has
 *   repositories/<name>/_manifests/tags/<tag>/current/link            the digest that the tag points at
 *   repositories/<name>/_layers, _uploads                             not needed: manifests name what they need
 * ```
 * What is damaged or missing, or what the store's rules refuse, is told and left out; the rest comes over.
 */
import type { Stats } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf, isDigest } from '../../oci/digest.ts'
import { CodedError, isErrno, OciError } from '../../oci/errors.ts'
import { successors } from '../../oci/graph.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../oci/manifest.ts'
import { isNonDistributable } from '../../oci/media-type.ts'
import { isRepositoryPath, isTag, type RepositoryName, type Tag } from '../../oci/reference.ts'
import { adoptFile } from '../adopt.ts'
import { StoreError, type StoreErrorCode, storeErrorFrom } from '../errors.ts'
import { nameImage } from '../images.ts'
import type { DiskStore } from '../open.ts'

export interface RegistryImportOptions {
  readonly store: DiskStore
  /** As `findRegistryData` tells. */
  readonly data: string
  readonly signal: AbortSignal
  readonly onImported: (repository: RepositoryName, tags: readonly Tag[], manifests: number) => void
  /** @param what `app:1.0`, `app@sha256:...` @param why a sentence's end */
  readonly onSkipped: (what: string, why: string) => void
}

export interface RegistryImportReport {
  readonly repositories: number
  readonly manifests: number
  readonly tags: number
  readonly skipped: number
  /** How many of those a quota or an immutable tag refused. */
  readonly refused: number
  /** Blobs that share their space with the other registry's. */
  readonly linked: number
  readonly copied: number
}

/** The folder with `blobs` and `repositories` in or below a directory; undefined when this is no such registry's. */
export async function findRegistryData(directory: string): Promise<string | undefined> {
  for (const below of ['', 'v2', 'registry/v2', 'docker/registry/v2']) {
    const data = join(directory, below)
    if ((await isFolder(join(data, 'repositories'))) && (await isFolder(join(data, 'blobs')))) return data
  }
  return undefined
}

/** @throws StoreError when the store fails; the signal's reason */
export async function importRegistryData(options: RegistryImportOptions): Promise<RegistryImportReport> {
  const importer = new RegistryImporter(options)
  for await (const name of repositoriesBelow(join(options.data, 'repositories'), ''))
    await importer.importRepository(name)
  return importer.report
}

interface FoundManifest {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
}

class RegistryImporter {
  readonly #options: RegistryImportOptions
  readonly #counts = { repositories: 0, manifests: 0, tags: 0, skipped: 0, refused: 0, linked: 0, copied: 0 }
  /** Of blobs that could not be had: why. Others look into the store. */
  readonly #refused = new Map<Digest, string>()

  constructor(options: RegistryImportOptions) {
    this.#options = options
  }

  get report(): RegistryImportReport {
    return { ...this.#counts }
  }

  async importRepository(path: string): Promise<void> {
    const { data, onImported } = this.#options
    if (!isRepositoryPath(path)) return this.#skip(path, 'it is no name of a repository')
    const name = path as RepositoryName
    const folder = join(data, 'repositories', path, '_manifests')
    const tags = await this.#readTags(name, folder)
    const found: FoundManifest[] = []
    for (const digest of await revisionsIn(folder)) {
      const one = await this.#takeManifest(name, digest)
      if (one !== undefined) found.push(one)
    }
    // Children first, so that an index finds them.
    const order = (one: FoundManifest): number => (one.manifest.kind === 'image' ? 0 : 1)
    found.sort((a, b) => order(a) - order(b))
    const named: Tag[] = []
    let manifests = 0
    for (const { descriptor } of found) {
      const { digest } = descriptor
      const own = tags.get(digest) ?? []
      tags.delete(digest)
      const taken = await this.#name(name, descriptor, own)
      if (taken === undefined) continue
      manifests++
      named.push(...taken)
    }
    for (const [digest, lost] of tags)
      for (const tag of lost)
        this.#skip(`${name}:${tag}`, `its manifest ${digest} is not there, or not whole`)
    if (manifests === 0) return
    this.#counts.repositories++
    this.#counts.manifests += manifests
    this.#counts.tags += named.length
    onImported(name, named.sort(), manifests)
  }

  async #readTags(name: RepositoryName, folder: string): Promise<Map<Digest, Tag[]>> {
    const tags = new Map<Digest, Tag[]>()
    for (const tag of await namesIn(join(folder, 'tags'))) {
      const text = await readSmall(join(folder, 'tags', tag, 'current', 'link'))
      const digest = text?.toString('latin1').trim() ?? ''
      if (!isTag(tag) || !isDigest(digest)) this.#skip(`${name}:${tag}`, 'its link is damaged')
      else tags.set(digest, [...(tags.get(digest) ?? []), tag])
    }
    return tags
  }

  /** Undefined, and said so, when the manifest or something that it needs cannot be had. */
  async #takeManifest(name: RepositoryName, digest: Digest): Promise<FoundManifest | undefined> {
    this.#options.signal.throwIfAborted()
    try {
      const found = await readManifest(this.#blobPath(digest), digest)
      if (found.manifest.kind === 'image')
        for (const child of successors(found.manifest))
          if (!isNonDistributable(child.mediaType)) await this.#takeBlob(child.digest)
      await this.#takeBlob(digest)
      return found
    } catch (error) {
      if (!(error instanceof OciError)) throw error
      this.#skip(`${name}@${digest}`, error.message)
      return undefined
    }
  }

  /** @throws OciError */
  async #takeBlob(digest: Digest): Promise<void> {
    const { store, signal } = this.#options
    const refusal = this.#refused.get(digest)
    if (refusal !== undefined) throw new OciError('content-missing', refusal)
    if ((await store.content.stat(digest)) !== undefined) return
    const path = this.#blobPath(digest)
    try {
      this.#counts[await adoptFile(store, path, digest, signal)]++
    } catch (error) {
      signal.throwIfAborted()
      if (!isErrno(error, 'ENOENT') && !(error instanceof OciError))
        throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot take over ${path}`)
      const why = error instanceof OciError ? error.message : `${digest} is missing`
      this.#refused.set(digest, why)
      throw new OciError('content-missing', why, { cause: error })
    }
  }

  #blobPath(digest: Digest): string {
    const hex = digestHex(digest)
    return join(this.#options.data, 'blobs', digestAlgorithm(digest), hex.slice(0, 2), hex, 'data')
  }

  /** The tags that it has now; undefined when rules of the store refuse the manifest itself. What they refuse is told. */
  async #name(
    name: RepositoryName,
    descriptor: Descriptor,
    tags: readonly Tag[],
  ): Promise<readonly Tag[] | undefined> {
    const refusal = await this.#refusal(name, descriptor, tags)
    if (refusal === undefined) return tags
    const ofManifest = tags.length === 0 ? refusal : await this.#refusal(name, descriptor, [])
    if (ofManifest !== undefined) {
      this.#refuse(`${name}@${descriptor.digest}`, ofManifest)
      for (const tag of tags) this.#skip(`${name}:${tag}`, 'its manifest was refused')
      return undefined
    }
    const taken: Tag[] = []
    for (const tag of tags) {
      const ofTag = await this.#refusal(name, descriptor, [tag])
      if (ofTag === undefined) taken.push(tag)
      else this.#refuse(`${name}:${tag}`, ofTag)
    }
    return taken
  }

  async #refusal(
    name: RepositoryName,
    descriptor: Descriptor,
    tags: readonly Tag[],
  ): Promise<StoreError | undefined> {
    try {
      await nameImage(this.#options.store, name, descriptor, tags)
      return undefined
    } catch (error) {
      if (error instanceof StoreError && REFUSALS.has(error.code)) return error
      throw error
    }
  }

  #refuse(what: string, { message }: StoreError): void {
    this.#counts.refused++
    this.#skip(what, message)
  }

  #skip(what: string, why: string): void {
    this.#counts.skipped++
    this.#options.onSkipped(what, why)
  }
}

const REFUSALS: ReadonlySet<StoreErrorCode> = new Set(['quota-exceeded', 'tag-immutable'])

/** @throws OciError */
async function readManifest(path: string, digest: Digest): Promise<FoundManifest> {
  const bytes = await readSmall(path)
  if (bytes === undefined) throw new OciError('content-missing', `${digest} is missing, or too large`)
  const got = digestOf(bytes, digestAlgorithm(digest))
  if (got !== digest)
    throw new OciError('digest-mismatch', `Cannot take over ${path}: want ${digest}, got ${got}`)
  const manifest = parseManifest(bytes)
  return { descriptor: { mediaType: manifest.mediaType, digest, size: bytes.length }, manifest }
}

/** A name may be a repository and the beginning of others. Names of the registry's own begin with `_`. */
async function* repositoriesBelow(folder: string, name: string): AsyncGenerator<string> {
  // The longest name that can be served has 255 characters.
  if (name.length > 255) return
  const entries = await namesIn(folder)
  if (name !== '' && entries.includes('_manifests')) yield name
  for (const entry of entries)
    if (!entry.startsWith('_'))
      yield* repositoriesBelow(join(folder, entry), name === '' ? entry : `${name}/${entry}`)
}

async function revisionsIn(folder: string): Promise<readonly Digest[]> {
  const digests: Digest[] = []
  const revisions = join(folder, 'revisions')
  for (const algorithm of await namesIn(revisions))
    for (const hex of await namesIn(join(revisions, algorithm))) {
      const digest = `${algorithm}:${hex}`
      // Deleting a manifest leaves its folder.
      const link = await readSmall(join(revisions, algorithm, hex, 'link'))
      if (link !== undefined && isDigest(digest)) digests.push(digest)
    }
  return digests
}

async function isFolder(path: string): Promise<boolean> {
  return (await statsOf(path))?.isDirectory() ?? false
}

/** Undefined when it is not there, or larger than any manifest. */
async function readSmall(path: string): Promise<Buffer | undefined> {
  const stats = await statsOf(path)
  return stats?.isFile() && stats.size <= MAX_MANIFEST_BYTES ? readFile(path) : undefined
}

async function statsOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** Sorted; none for what is no folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
