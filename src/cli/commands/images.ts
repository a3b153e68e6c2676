import { CodedError } from '../../oci/errors.ts'
import { onDockerHub, parseReference, repositoryOf } from '../../oci/reference.ts'
import type { TagRecord } from '../../store/metadata.ts'
import type { Command } from '../command.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import { findPlatformImage, imageSize } from '../images/stored-images.ts'
import { openSession, type Session } from '../session.ts'
import { formatAge, formatBytes } from '../text/format.ts'
import { formatTable } from '../text/table.ts'

interface Row {
  readonly repository: string
  readonly tag: string
  readonly digest: string
  /** Of the platform of this machine; absent where the index has none for it. */
  readonly id?: string
  readonly created?: string
  /** Compressed, in bytes. */
  readonly size?: number
}

export const command: Command = {
  name: 'images',
  summary: 'List images',
  usage: '[OPTIONS] [NAME]',
  options: {
    quiet: { short: 'q', help: 'Print only image IDs' },
    format: FORMAT_OPTION,
  },
  positionals: { min: 0, max: 1 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    using session = await openSession(args, terminal)
    const [name] = args.positionals
    const all = session.store.metadata.listAllTags()
    const tags = name === undefined ? all : all.filter(isNamed(name))
    const rows: Row[] = []
    for (const tag of tags) rows.push(await readRow(session, tag))
    if (args.flag('quiet'))
      terminal.stdout.write([...new Set(rows.map(row => `${row.id ?? row.digest}\n`))].join(''))
    else if (json) terminal.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
    else terminal.stdout.write(table(rows, terminal.now()))
  },
}

/** `debian` means our own image of that name and Docker Hub's. */
function isNamed(name: string): (tag: TagRecord) => boolean {
  const reference = parseReference(name)
  const repositories = [repositoryOf(reference), repositoryOf(onDockerHub(reference))]
  const { tag, digest } = reference
  return row =>
    repositories.includes(row.repository) &&
    (tag === undefined || tag === row.tag) &&
    (digest === undefined || digest === row.digest)
}

async function readRow(
  { store, hostPlatform }: Session,
  { repository, tag, digest }: TagRecord,
): Promise<Row> {
  const record = store.metadata.getManifest(repository, digest)
  const image =
    record === undefined
      ? undefined
      : await findPlatformImage(store, record, hostPlatform).catch(ignoreDamage)
  if (image === undefined) return { repository, tag, digest }
  const created = image.config.created
  return {
    repository,
    tag,
    digest,
    id: image.manifest.config.digest,
    ...(created !== undefined && { created }),
    size: imageSize(image.manifest),
  }
}

/** A list shows what it can: an image whose content is lost or damaged has a row without details. */
function ignoreDamage(error: unknown): undefined {
  if (
    error instanceof CodedError &&
    ['content-missing', 'content-corrupt', 'digest-mismatch', 'size-mismatch'].includes(error.code)
  )
    return
  throw error
}

function table(rows: readonly Row[], now: number): string {
  return formatTable(
    ['REPOSITORY', 'TAG', 'DIGEST', 'IMAGE ID', 'CREATED', 'SIZE'],
    rows.map(({ repository, tag, digest, id, created, size }) => [
      repository,
      tag,
      shortDigest(digest),
      id === undefined ? '-' : shortDigest(id),
      formatAge(created, now),
      size === undefined ? '-' : formatBytes(size),
    ]),
  )
}

function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12)
}
