/** Finds what a name means in a remote repository. */
import { BuildError } from '../errors.ts'
import { displayRemote, type GitReference, isCommitID } from './git-reference.ts'

export interface GitCommit {
  readonly id: string
  /** Of an annotated tag that points to it. */
  readonly tagID?: string
  /** The full name by which it was found; absent for one that was named by its ID. */
  readonly name?: string
}

type Wanted = Pick<GitReference, 'remote' | 'ref' | 'checksum'>

/**
 * Semantics 52: the commit is found before anything is fetched. A branch beats a tag of the same name.
 * @param listRemote runs `git ls-remote` with these arguments
 * @throws BuildError `source-missing`; `digest-mismatch` for another commit than the checksum says;
 *   `dockerfile-invalid` for a checksum that is none
 */
export async function resolveCommit(
  wanted: Wanted,
  listRemote: (args: readonly string[]) => Promise<string>,
): Promise<GitCommit> {
  const { remote, ref } = wanted
  const commit = isCommitID(ref)
    ? { id: ref }
    : ref === '' || ref === 'HEAD'
      ? defaultCommit(await listRemote(['--symref', '--', remote, 'HEAD']))
      : namedCommit(await listRemote(['--', remote, ref, `${ref}^{}`]), ref)
  if (commit === undefined)
    throw new BuildError(
      'source-missing',
      ref === ''
        ? `Cannot read ${displayRemote(remote)}: it has no default branch`
        : `Cannot read ${displayRemote(remote)}: it has no branch or tag ${JSON.stringify(ref)}`,
      /^[0-9a-f]{4,39}$/.test(ref) ? { hint: 'a commit is named by its whole ID' } : {},
    )
  checkCommit(wanted, commit)
  return commit
}

function checkCommit({ remote, checksum = '' }: Wanted, { id, tagID }: GitCommit): void {
  if (checksum === '') return
  if (!/^[0-9a-f]{1,64}$/.test(checksum))
    throw new BuildError(
      'dockerfile-invalid',
      `Cannot check ${displayRemote(remote)}: ${JSON.stringify(checksum)} is not the ID of a commit`,
      { hint: 'the checksum of a Git repository is its commit, in hex' },
    )
  if (id.startsWith(checksum) || tagID?.startsWith(checksum)) return
  throw new BuildError(
    'digest-mismatch',
    `Cannot use ${displayRemote(remote)}: want commit ${checksum}, got ${id}`,
  )
}

function defaultCommit(listing: string): GitCommit | undefined {
  const [, name] = /^ref: (refs\/\S+)\tHEAD$/m.exec(listing) ?? []
  const id = parseListing(listing).get('HEAD')
  return id === undefined ? undefined : { id, ...(name !== undefined && { name }) }
}

function namedCommit(listing: string, ref: string): GitCommit | undefined {
  const found = parseListing(listing)
  const names = ref.startsWith('refs/') ? [ref] : [`refs/${ref}`, `refs/heads/${ref}`, `refs/tags/${ref}`]
  for (const name of names) {
    const id = found.get(name)
    if (id === undefined) continue
    const peeled = found.get(`${name}^{}`)
    return peeled === undefined ? { id, name } : { id: peeled, tagID: id, name }
  }
  return undefined
}

function parseListing(listing: string): ReadonlyMap<string, string> {
  return new Map(
    listing.split('\n').flatMap(line => {
      const [id = '', name = ''] = line.split('\t')
      return isCommitID(id) ? [[name, id] as const] : []
    }),
  )
}
