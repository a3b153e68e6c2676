import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { succeed } from './process.ts'

export interface ImageContents {
  /** The image config as the document has it. */
  readonly config: Record<string, unknown>
  readonly layers: number
  /** What each path of the flattened root filesystem is, by path. */
  readonly tree: ReadonlyMap<string, string>
}

/**
 * Reads an image with tools that are not ours: skopeo fetches, umoci unpacks. Needs root.
 * @param source as skopeo names it: `docker://127.0.0.1:5000/app:1`, `docker-archive:app.tar`, `oci:dir:tag`
 * @param options of skopeo for this source
 */
export async function readImage(
  source: string,
  scratch: string,
  options: readonly string[] = ['--src-tls-verify=false'],
): Promise<ImageContents> {
  const layout = join(scratch, 'layout')
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch)
  await succeed('skopeo', ['--insecure-policy', 'copy', ...options, source, `oci:${layout}:image`])
  // Asked at the source: a conversion to OCI drops what that config does not know, such as a health check.
  const inspect = ['--insecure-policy', 'inspect', '--config', '--raw', ...options.map(inspectOption), source]
  const config = JSON.parse(await succeed('skopeo', inspect))
  const tree = await unpack(layout, 'image', join(scratch, 'bundle'))
  rmSync(scratch, { recursive: true, force: true })
  return { config, layers: config.rootfs.diff_ids?.length ?? 0, tree }
}

/** Reads the one image of a directory in OCI layout, as a builder wrote it; only unpacking is left to umoci. */
export async function readLayout(layout: string, scratch: string): Promise<ImageContents> {
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'))
  const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))
  const [image] = manifests
  const config = blob(blob(image.digest).config.digest)
  const tree = await unpack(layout, image.annotations['org.opencontainers.image.ref.name'], scratch)
  rmSync(scratch, { recursive: true, force: true })
  return { config, layers: config.rootfs.diff_ids?.length ?? 0, tree }
}

async function unpack(layout: string, tag: string, bundle: string): Promise<ReadonlyMap<string, string>> {
  await succeed('umoci', ['unpack', '--image', `${layout}:${tag}`, bundle])
  return readTree(join(bundle, 'rootfs'))
}

/** `skopeo copy` names the side that an option is for, `skopeo inspect` has only one. */
function inspectOption(option: string): string {
  return option.replace(/^--src-/, '--')
}

/**
 * One line per path: type, mode, owner, and what the type adds; names of one file share a link group. A path is a string
 * of bytes (latin1): names need not be UTF-8. A time is part of the line when it lies before today or ahead, so that a
 * step gave or kept it; times of directories change with what is in them.
 */
export async function readTree(root: string): Promise<ReadonlyMap<string, string>> {
  const aDayAgo = Date.now() - 86_400_000
  const xattrs = await readXattrs(root)
  const tree = new Map<string, string>()
  const firstNames = new Map<bigint, string>()
  const visit = (path: string): void => {
    const file = Buffer.from(join(root, path), 'latin1')
    const stats = lstatSync(file, { bigint: true })
    const mode = Number(stats.mode)
    const parts = [typeName(mode), (mode & 0o7777).toString(8), `${stats.uid}:${stats.gid}`]
    if (stats.isFile()) {
      parts.push(createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16))
      if (stats.nlink > 1n) {
        const first = firstNames.get(stats.ino) ?? path
        firstNames.set(stats.ino, first)
        parts.push(`linked with ${first}`)
      }
    }
    if (stats.isSymbolicLink()) parts.push(`-> ${readlinkSync(file, 'latin1')}`)
    if (stats.isCharacterDevice() || stats.isBlockDevice()) parts.push(`device ${stats.rdev}`)
    parts.push(...(xattrs.get(path) ?? []))
    const isGiven = stats.mtimeMs < aDayAgo || stats.mtimeMs > aDayAgo + 2 * 86_400_000
    if (isGiven && !stats.isDirectory()) parts.push(`of ${new Date(Number(stats.mtimeMs)).toISOString()}`)
    tree.set(path, parts.join(' '))
    if (!stats.isDirectory()) return
    for (const name of readdirSync(file, 'latin1').sort()) visit(path === '' ? name : `${path}/${name}`)
  }
  visit('')
  return tree
}

/** Extended attributes by path relative to the root, each as `name=value` in hex, sorted. */
async function readXattrs(root: string): Promise<Map<string, string[]>> {
  const text = await succeed('getfattr', [
    '-R',
    '-P',
    '-h',
    '-d',
    '-m',
    '-',
    '-e',
    'hex',
    '--absolute-names',
    root,
  ])
  const found = new Map<string, string[]>()
  for (const block of text.split('\n\n')) {
    const [file, ...attributes] = block.trim().split('\n')
    if (file === undefined || !file.startsWith('# file: ')) continue
    // umoci marks its work with attributes of its own, and the unpacking file system may add SELinux labels.
    const kept = attributes.filter(
      line => !line.startsWith('user.rootlesscontainers') && !line.startsWith('security.selinux'),
    )
    found.set(file.slice('# file: '.length + root.length + 1), kept.sort())
  }
  return found
}

/** The file types of stat(2), inode(7). */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'character'],
  [0o060000, 'block'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
])

function typeName(mode: number): string {
  return TYPE_NAMES.get(mode & 0o170000) ?? 'unknown'
}
