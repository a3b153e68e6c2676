/**
 * Files of Git repositories. What has been fetched stays, for the next build:
 *
 * ```
 * git/<hash of the remote>/repository   bare, with the commits that builds have asked for, without their history
 *                         /lock         held by the one process that is at it
 *    /tmp-<id>/tree                     a commit checked out, for as long as a build needs it
 *             /repository               its own, with what the other has; absent where the tree keeps its `.git`
 * ```
 */
import { mkdirSync } from 'node:fs'
import { tryLoadLinux } from '../../linux/linux.ts'
import { digestHex, digestOf } from '../../oci/digest.ts'
import { openLocalContext } from '../context/local-context.ts'
import type { FileFacts } from '../context/remembered-files.ts'
import type { StatCache } from '../context/stat-cache.ts'
import { BuildError } from '../errors.ts'
import { createOwnedDirectory, removeAbandoned } from '../snapshot/owned-directory.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { basicAuthorization, gitAuthorization, type ReadSecret } from './authorization.ts'
import type { GitAuthorities } from './git-authorities.ts'
import { type Checkout, checkOut, fetchObject } from './git-checkout.ts'
import { lockRepository } from './git-lock.ts'
import { type Git, GitError, type GitRun } from './git-program.ts'
import { displayRemote, type GitReference } from './git-reference.ts'
import { type GitCommit, resolveCommit } from './git-refs.ts'
import { isWhole, subdirectoryOf } from './git-subdirectory.ts'
import { gitTree } from './git-tree.ts'

/** Holds what is checked out until it is disposed. */
export interface GitSources extends AsyncDisposable {
  /**
   * The commit that a reference means now; asked for once in a build. One named by its ID costs nothing.
   * @throws BuildError `download-failed`, `source-missing`, `digest-mismatch`
   */
  resolve(reference: GitReference, signal: AbortSignal): Promise<GitCommit>
  /** The files of that commit, below the subdirectory. @throws BuildError as `resolve` does */
  open(reference: GitReference, signal: AbortSignal): Promise<FileTree>
}

export interface GitSourcesDeps {
  readonly git: Git
  readonly storeRoot: string
  readonly readSecret: ReadSecret
  /** Without it git believes its own list. Not disposed here. */
  readonly authorities?: Pick<GitAuthorities, 'fileFor'>
  /** The socket of an agent; undefined for one that nobody gave. */
  sshAgent(id: string): Promise<string | undefined>
}

/** Milliseconds for one repository. */
const PATIENCE_MS = 60 * 60 * 1000

export function createGitSources(deps: GitSourcesDeps): GitSources {
  const { git, storeRoot } = deps
  const parent = gitDirectory(storeRoot)
  const commits = new Map<string, Promise<GitCommit>>()
  const trees = new Map<string, Promise<FileTree>>()
  const held = new AsyncDisposableStack()

  function resolve(reference: GitReference, signal: AbortSignal): Promise<GitCommit> {
    const key = JSON.stringify([reference.remote, reference.ref, reference.checksum])
    const commit = commits.get(key) ?? find(reference, signal)
    commits.set(key, commit)
    return commit
  }

  async function find(reference: GitReference, signal: AbortSignal): Promise<GitCommit> {
    mkdirSync(parent, { recursive: true, mode: 0o711 })
    return await patiently(reference, signal, async patience => {
      const run = { directory: parent, ...(await accessTo(reference, deps)), signal: patience }
      return resolveCommit(withoutPassword(reference), args => git.run(['ls-remote', ...args], run))
    })
  }

  async function get(reference: GitReference, commit: GitCommit, signal: AbortSignal): Promise<FileTree> {
    const linux = await tryLoadLinux()
    // Where no lock tells who uses a repository, each process has its own.
    const locks = linux ?? { tryLock: () => true }
    mkdirSync(parent, { recursive: true, mode: 0o711 })
    if (linux !== undefined) await removeAbandoned(linux, parent, async () => undefined)
    const work = held.use(createOwnedDirectory(locks, parent))
    const format: Checkout['format'] = commit.id.length === 64 ? 'sha256' : 'sha1'
    const name = digestHex(digestOf(`${format} ${displayRemote(reference.remote)}`))
    return await patiently(reference, signal, async patience => {
      const run: GitRun = {
        directory: work.path,
        ...(await accessTo(reference, deps)),
        knownHosts: `${work.path}/known-hosts`,
        signal: patience,
      }
      using repository = await lockRepository(
        locks,
        `${linux === undefined ? work.path : parent}/${name}`,
        patience,
      )
      const places = { repository: repository.path, work: work.path }
      const checkout = { git, run, ...places, format, reference: withoutPassword(reference), commit }
      await fetchObject(checkout)
      const { directory, mtime } = await checkOut(checkout)
      const disk = await openLocalContext({ directory, fileDigests: memory() })
      return gitTree(disk, { mtime, keepsGitDir: reference.keepGitDir })
    })
  }

  async function open(reference: GitReference, signal: AbortSignal): Promise<FileTree> {
    const commit = await resolve(reference, signal)
    const keepGitDir = reference.keepGitDir && isWhole(reference.subdirectory)
    const whole = { ...reference, keepGitDir }
    const key = JSON.stringify([reference.remote, commit, keepGitDir, reference.submodules])
    const tree = trees.get(key) ?? get(whole, commit, signal)
    trees.set(key, tree)
    return subdirectoryOf(await tree, reference)
  }

  return {
    resolve,
    open,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([...commits.values(), ...trees.values()])
      await held.disposeAsync()
    },
  }
}

/** Where repositories stay between builds. */
export function gitDirectory(storeRoot: string): string {
  return `${storeRoot}/git`
}

async function patiently<T>(
  { remote }: GitReference,
  outer: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(PATIENCE_MS)
  try {
    return await task(AbortSignal.any([outer, timeout]))
  } catch (error) {
    outer.throwIfAborted()
    if (timeout.aborted) throw unreadable(remote, `it takes longer than ${PATIENCE_MS / 60_000} minutes`)
    throw error instanceof GitError ? unreadable(remote, error.said) : error
  }
}

function unreadable(remote: string, problem: string): BuildError {
  // git tells URLs as it was given them.
  const said = problem.replaceAll(/\/\/[^/\s]*@/g, '//')
  const hint = hintFor(said, remote)
  return new BuildError(
    'download-failed',
    `Cannot read Git repository ${displayRemote(remote)}: ${said}`,
    hint === undefined ? {} : { hint },
  )
}

function hintFor(said: string, remote: string): string | undefined {
  if (/could not read Username|Authentication failed|error: 40[13]/i.test(said))
    return 'give it a token with --secret id=GIT_AUTH_TOKEN,src=FILE'
  if (/error: 30\d/.test(said)) return 'it has moved: name where it is now, for a secret follows no redirect'
  if (/publickey/.test(said)) return 'no key of the agent that --ssh gives is known there'
  return /correct access rights/.test(said) && isSsh(remote)
    ? 'ssh could not log in there, or there is no such repository'
    : undefined
}

function isSsh(remote: string): boolean {
  return !/^(?:https?|git):\/\//i.test(remote)
}

/** What git needs to be let in, as BuildKit finds it. */
async function accessTo(
  { remote }: GitReference,
  deps: GitSourcesDeps,
): Promise<Pick<GitRun, 'configuration' | 'sshAgent' | 'authorities'>> {
  if (isSsh(remote)) {
    const sshAgent = await deps.sshAgent('default')
    if (sshAgent !== undefined) return { sshAgent }
    throw new BuildError(
      'source-missing',
      `Cannot read Git repository ${displayRemote(remote)}: it needs an ssh agent, and nobody gave one`,
      { hint: 'give it with --ssh default' },
    )
  }
  const url = new URL(remote)
  const file = await deps.authorities?.fileFor(remote)
  const authorities = file === undefined ? {} : { authorities: file }
  const secret = await gitAuthorization(url, deps.readSecret)
  const authorization = secret ?? basicAuthorization(url)
  if (authorization === undefined) return authorities
  // Submodules beside a repository take the password of its URL along, as they do in git.
  const scope = `http.${secret === undefined ? `${url.origin}/` : tokenScope(remote)}`
  return {
    ...authorities,
    configuration: [
      [`${scope}.extraHeader`, `Authorization: ${authorization}`],
      // After a redirect git would send the header to whatever host that names.
      [`${scope}.followRedirects`, 'false'],
    ],
  }
}

/** Arguments of programs are for all of the machine to read, and git gives a URL to its helpers as one. */
function withoutPassword(reference: GitReference): GitReference {
  const { remote } = reference
  return /^https?:/i.test(remote) ? { ...reference, remote: displayRemote(remote) } : reference
}

/** Submodules of GitHub's repositories are mostly there too. */
function tokenScope(remote: string): string {
  return /^https:\/\/(?:www\.)?github\.com\//.exec(remote)?.[0] ?? displayRemote(remote)
}

/** Digests of files that last as long as the build. */
function memory(): StatCache {
  const known = new Map<string, FileFacts>()
  return {
    get: path => known.get(path),
    put: (path, _, facts) => void known.set(path, { ...known.get(path), ...facts }),
    save: () => Promise.resolve(),
  }
}

/** What of a reference tells its files, beside the commit: not where it is nor by which name, unless `.git` says that. */
export function wantedOf(reference: GitReference, { tagID, name }: GitCommit): string {
  const { remote, subdirectory, keepGitDir, submodules } = reference
  const kept = keepGitDir ? [displayRemote(remote), tagID ?? '', name ?? ''] : []
  return JSON.stringify([subdirectory, submodules, ...kept])
}
