/** ADD of a URL: one file of mode 0600 (semantics 51). */
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { type Digest, digestAlgorithm } from '../../oci/digest.ts'
import { displayUrl } from '../../remote/errors.ts'
import { BuildError } from '../errors.ts'
import type { Download, Downloads } from '../fetch/downloads.ts'
import { percentDecoded } from '../fetch/percent-decoded.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import type { CopySource, CopySpec } from './copy-spec.ts'
import { parseDestination } from './destination.ts'

export interface SelectedUrl {
  readonly name: ByteString
  readonly url: URL
  readonly checksum?: Digest
  readonly isUnpacked: boolean
}

/** @throws BuildError `dockerfile-invalid` for what is no URL, or one without a name where one is needed */
export function selectUrl(
  source: Extract<CopySource, { kind: 'url' }>,
  spec: Pick<CopySpec, 'destination' | 'workdir' | 'unpack'>,
): SelectedUrl {
  const url = URL.parse(source.url)
  if (url === null) throw invalidUrl(JSON.stringify(source.url), 'it is not a valid URL')
  const name = fileName(url)
  if (name === undefined && parseDestination(spec.workdir, spec.destination).isDirectory)
    throw invalidUrl(displayUrl(url), 'its path names no file, and the destination is a directory')
  return {
    name: byteStringOf(name ?? '__unnamed__'),
    url,
    ...(source.checksum !== undefined && { checksum: source.checksum }),
    isUnpacked: spec.unpack === 'all',
  }
}

/** @throws BuildError `digest-mismatch` unless the bytes have the checksum */
export async function downloadSelected(
  { url, checksum }: SelectedUrl,
  downloads: Pick<Downloads, 'get'>,
  signal: AbortSignal,
): Promise<Download> {
  const algorithm = checksum === undefined ? 'sha256' : digestAlgorithm(checksum)
  const download = await downloads.get(url, algorithm, signal)
  if (checksum === undefined || download.digest === checksum) return download
  throw new BuildError(
    'digest-mismatch',
    `Cannot add ${displayUrl(url)}: want ${checksum}, got ${download.digest}`,
  )
}

/** A tree of nothing but the file. */
export function downloadTree(download: Download, node: TreeNode): FileTree {
  return {
    stat: async () => node,
    list: async () => [],
    digest: async () => download.digest,
    prepare: async () => undefined,
    open: () => download.open(),
  }
}

function fileName(url: URL): string | undefined {
  const last = url.pathname.split('/').findLast(part => part !== '') ?? ''
  const name = percentDecoded(last)
    .split('/')
    .findLast(part => part !== '')
  return name === undefined || name === '.' || name === '..' || name.includes('\0') ? undefined : name
}

function invalidUrl(url: string, problem: string): BuildError {
  return new BuildError('dockerfile-invalid', `Cannot add ${url}: ${problem}`)
}
