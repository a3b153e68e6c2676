/**
 * The packages of an image, from the databases of package managers and the files that language tools leave. The image is
 * not unpacked: names come from tables of contents, and a layer is read at most twice, for the files that are looked into.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type ByteString, byteStringOf, displayText } from '../../../oci/byte-string.ts'
import { baseName } from '../../../oci/path.ts'
import { BuildError } from '../../errors.ts'
import type { FileTree, TreeNode } from '../../tree/file-tree.ts'
import { resolvePath } from '../../tree/resolve.ts'
import { walkBelow } from '../../tree/walk.ts'
import { parseApkDatabase } from './apk.ts'
import { parseDpkgStatus } from './dpkg.ts'
import { readGoModules } from './go.ts'
import { gemOfSpecification, parseCargoLock, parseComposer, parseGemfileLock } from './lock-files.ts'
import { parsePackageJson, parsePackageLock, parsePnpmLock, parseYarnLock } from './npm.ts'
import { type Distribution, parseOsRelease } from './os-release.ts'
import type { FoundPackage } from './package.ts'
import { parsePythonMetadata } from './python.ts'
import { readRpmDatabase } from './rpm.ts'

export interface ScanOptions {
  readonly temporaryDirectory: string
  readonly signal: AbortSignal
}

/** Each package once, by purl; sorted by it. */
export async function scanPackages(tree: FileTree, options: ScanOptions): Promise<readonly FoundPackage[]> {
  const { signal } = options
  const distribution = await readDistribution(tree)
  const candidates: Candidate[] = []
  for await (const { path, node } of walkBelow(tree, '' as ByteString, signal)) {
    const kind = node.type === 'file' ? kindOf(path, node) : undefined
    if (kind !== undefined) candidates.push({ path, kind })
  }
  const prepare = (wanted: readonly Candidate[]): Promise<void> =>
    tree.prepare(
      wanted.map(({ path }) => path),
      signal,
    )
  const found = new Map<string, FoundPackage>()
  const owned = new Set<string>()
  const add = (packages: readonly FoundPackage[]): void => {
    for (const item of packages) if (!found.has(item.purl)) found.set(item.purl, item)
    if (found.size > MAX_PACKAGES)
      throw new BuildError('export-failed', `Cannot list packages: the image has more than ${MAX_PACKAGES}`, {
        hint: 'build it without --sbom',
      })
  }
  const own = (files: readonly string[]): void => {
    for (const file of files) if (owned.size < MAX_OWNED_FILES) owned.add(file)
  }
  // What a distribution's packages brought along is those packages: they come first, and tell which files are theirs.
  const databases = candidates.filter(({ kind }) => isOfDistribution(kind))
  await prepare(databases)
  for (const { path, kind } of databases) {
    signal.throwIfAborted()
    if (kind === 'apk') {
      const { packages, files } = parseApkDatabase(
        await readText(tree, path),
        displayText(path),
        distribution,
      )
      add(packages)
      own(files)
    } else if (kind === 'dpkg-list') own((await readText(tree, path)).split('\n').map(file => file.slice(1)))
    else if (kind === 'dpkg' || kind === 'dpkg-single')
      add(
        parseDpkgStatus(await readText(tree, path), displayText(path), distribution, kind === 'dpkg-single'),
      )
    else if (kind === 'rpm') add(await readRpm(tree, path, distribution, options))
  }
  const others = candidates.filter(({ path, kind }) => !isOfDistribution(kind) && !isOwned(path, owned))
  await prepare(others)
  for (const { path, kind } of others) {
    signal.throwIfAborted()
    if (!isOfDistribution(kind)) add(await readLanguageFile(tree, path, kind))
  }
  return [...found.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1))
}

type Kind = 'apk' | 'dpkg' | 'dpkg-single' | 'dpkg-list' | 'rpm' | LanguageKind
type LanguageKind =
  | 'package.json'
  | 'package-lock.json'
  | 'yarn.lock'
  | 'pnpm-lock.yaml'
  | 'python'
  | 'gemspec'
  | 'Gemfile.lock'
  | 'Cargo.lock'
  | 'composer'
  | 'program'

interface Candidate {
  readonly path: ByteString
  readonly kind: Kind
}

/** Lists are far smaller; a larger one is none. Read whole, they take some twenty times as much memory. */
const MAX_LIST_BYTES = 32 * 1024 * 1024
/** The same for databases that are not read whole. */
const MAX_DATABASE_BYTES = 256 * 1024 * 1024
/** Of an image: what is more fits no document. */
const MAX_PACKAGES = 200_000
/** Of an image. What the others hold might be counted twice. */
const MAX_OWNED_FILES = 4_000_000
/** Go programs are at least this large. */
const MIN_PROGRAM_BYTES = 256 * 1024
const MAX_PROGRAM_BYTES = 2 * 1024 * 1024 * 1024

const DISTRIBUTION_FILES: readonly (readonly [RegExp, Kind])[] = [
  [/^(?:usr\/)?lib\/apk\/db\/installed$/, 'apk'],
  [/^var\/lib\/dpkg\/status$/, 'dpkg'],
  [/^var\/lib\/dpkg\/status\.d\/(?!.*\.md5sums$)[^/]+$/, 'dpkg-single'],
  [/^var\/lib\/dpkg\/info\/[^/]+\.list$/, 'dpkg-list'],
  [/^(?:var\/lib|usr\/lib\/sysimage)\/rpm\/rpmdb\.sqlite$/, 'rpm'],
]
const LANGUAGE_FILES: readonly (readonly [RegExp, LanguageKind])[] = [
  [/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/, 'package.json'],
  [/(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|\.package-lock\.json)$/, 'package-lock.json'],
  [/(?:^|\/)yarn\.lock$/, 'yarn.lock'],
  [/(?:^|\/)pnpm-lock\.yaml$/, 'pnpm-lock.yaml'],
  [/\.dist-info\/METADATA$|\.egg-info\/PKG-INFO$|\.egg-info$/, 'python'],
  [/(?:^|\/)specifications\/(?:default\/)?[^/]+\.gemspec$/, 'gemspec'],
  [/(?:^|\/)Gemfile\.lock$/, 'Gemfile.lock'],
  [/(?:^|\/)Cargo\.lock$/, 'Cargo.lock'],
  [/(?:^|\/)composer\.lock$|(?:^|\/)vendor\/composer\/installed\.json$/, 'composer'],
]

function kindOf(path: ByteString, { size, mode }: TreeNode): Kind | undefined {
  const known = [...DISTRIBUTION_FILES, ...LANGUAGE_FILES].find(([pattern]) => pattern.test(path))
  if (known !== undefined) {
    const [, kind] = known
    return size <= (kind === 'rpm' ? MAX_DATABASE_BYTES : MAX_LIST_BYTES) ? kind : undefined
  }
  const isProgram = (mode & 0o111) !== 0 && size >= MIN_PROGRAM_BYTES && size <= MAX_PROGRAM_BYTES
  return isProgram ? 'program' : undefined
}

function isOfDistribution(kind: Kind): kind is Exclude<Kind, LanguageKind> {
  return DISTRIBUTION_FILES.some(([, known]) => known === kind)
}

/** Databases may name files where they were before `/bin` became `/usr/bin`. */
function isOwned(path: ByteString, owned: ReadonlySet<string>): boolean {
  const text = displayText(path)
  return owned.has(text) || (text.startsWith('usr/') && owned.has(text.slice('usr/'.length)))
}

async function readLanguageFile(
  tree: FileTree,
  path: ByteString,
  kind: LanguageKind,
): Promise<readonly FoundPackage[]> {
  const evidence = displayText(path)
  switch (kind) {
    case 'program':
      return readGoModules(await openPieces(tree, path), evidence)
    case 'gemspec':
      return gemOfSpecification(displayText(baseName(path)), evidence)
    case 'package.json':
      return parsePackageJson(await readBytes(tree, path), evidence)
    case 'package-lock.json':
      return parsePackageLock(await readBytes(tree, path), evidence)
    case 'composer':
      return parseComposer(await readBytes(tree, path), evidence)
    default:
      return TEXT_PARSERS[kind](await readText(tree, path), evidence)
  }
}

const TEXT_PARSERS = {
  'yarn.lock': parseYarnLock,
  'pnpm-lock.yaml': parsePnpmLock,
  python: parsePythonMetadata,
  'Gemfile.lock': parseGemfileLock,
  'Cargo.lock': parseCargoLock,
} as const

async function readRpm(
  tree: FileTree,
  path: ByteString,
  distribution: Distribution | undefined,
  { temporaryDirectory, signal }: ScanOptions,
): Promise<readonly FoundPackage[]> {
  const folder = await mkdtemp(join(temporaryDirectory, 'rpmdb-'))
  try {
    const file = join(folder, 'rpmdb.sqlite')
    await pipeline(Readable.from(await openPieces(tree, path)), createWriteStream(file), { signal })
    return readRpmDatabase(file, displayText(path), distribution) ?? []
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function readDistribution(tree: FileTree): Promise<Distribution | undefined> {
  for (const name of ['etc/os-release', 'usr/lib/os-release']) {
    const path = await resolvePath(tree, byteStringOf(name))
    const node = path === undefined ? undefined : await tree.stat(path)
    if (path === undefined || node?.type !== 'file' || node.size > 64 * 1024) continue
    const found = parseOsRelease(await readText(tree, path))
    if (found !== undefined) return found
  }
  return undefined
}

async function readText(tree: FileTree, path: ByteString): Promise<string> {
  return (await readBytes(tree, path)).toString('utf8')
}

async function readBytes(tree: FileTree, path: ByteString): Promise<Buffer> {
  const content = await tree.open(path)
  return content instanceof Uint8Array ? content : Buffer.concat(await content.toArray())
}

async function openPieces(tree: FileTree, path: ByteString): Promise<AsyncIterable<Uint8Array>> {
  const content = await tree.open(path)
  return content instanceof Uint8Array ? Readable.from([content]) : content
}
